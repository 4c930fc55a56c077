-- What an investigator of one case needs: who it is. The values come from bronze, whose folder must be readable.

-- Which of two marks separates the values of CSV, by its header. A semicolon is char(59), as one ends a statement here.
-- needs: nothing
create or replace function investigator.csv_mark(header string) returns string
return if(
    regexp_count(regexp_replace(header, '"[^"]*"', ''), char(59))
    > regexp_count(regexp_replace(header, '"[^"]*"', ''), ','), char(59), ','
);

-- The values of a record of CSV, out of their quotes.
-- needs: nothing
create or replace function investigator.csv_values(record string, mark string) returns array<string>
return transform(
    regexp_extract_all(concat(regexp_replace(record, '[\r\n]+$', ''), mark), concat('("(?:[^"]|"")*+"|[^', mark, ']*+)', mark), 1),
    v -> if(v like '"%', replace(substring(v, 2, length(v) - 2), '""', '"'), v)
);

-- What a line of bronze says of a field, as JSON or as CSV.
-- needs: nothing
create or replace function investigator.value_of(line string, header string, field string) returns string
return coalesce(
    get_json_object(replace(line, '\uFEFF', ''), concat('$.', field)),
    get(
        investigator.csv_values(line, investigator.csv_mark(header)),
        cast(
            array_position(
                investigator.csv_values(replace(header, '\uFEFF', ''), investigator.csv_mark(header)), field
            ) as int
        ) - 1
    )
);

-- needs: silver.users, bronze.users
create or replace view investigator.users as
select
    u.user_id,
    investigator.value_of(b.line, b.header, 'name') as name,
    investigator.value_of(b.line, b.header, 'email') as email,
    investigator.value_of(b.line, b.header, 'phone_number') as phone_number,
    u.country, u.created_date, u.source,
    b.line as raw_line, b.header as raw_header, u.source_file, u.line_number, u.arrived_at as updated_at
from silver.users u
inner join bronze.users b on u.source_file = b.source_file and u.line_number = b.line_number;

-- needs: silver.payment_methods, bronze.payment_methods
create or replace view investigator.payment_methods as
select
    p.payment_method_id, p.user_id, p.kind,
    investigator.value_of(b.line, b.header, 'last4') as last4,
    p.issuer_country, p.created_date, b.line as raw_line, b.header as raw_header, p.arrived_at as updated_at
from silver.payment_methods p
inner join bronze.payment_methods b on p.source_file = b.source_file and p.line_number = b.line_number;

-- needs: silver.transactions, bronze.transactions
create or replace view investigator.transactions as
select t.*, b.line as raw_line
from silver.transactions t
inner join bronze.transactions b on t.source_file = b.source_file and t.line_number = b.line_number;

-- needs: silver.quarantine, bronze.transactions
create or replace view investigator.quarantined_transactions as
select q.source_file, q.line_number, q.reasons, q.excerpt, b.line as raw_line, q.arrived_at
from silver.quarantine q
inner join bronze.transactions b on q.source_file = b.source_file and q.line_number = b.line_number
where q.feed = 'transactions';
