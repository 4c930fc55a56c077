-- What an investigator of one case needs: who it is. The values come from bronze, whose folder must be readable.

-- needs: silver.users, bronze.users
create or replace view investigator.users as
select
    u.user_id,
    get_json_object(b.line, '$.name') as name,
    get_json_object(b.line, '$.email') as email,
    get_json_object(b.line, '$.phone_number') as phone_number,
    u.country, u.created_date, u.source,
    b.line as raw_line, b.header as raw_header, u.source_file, u.line_number, u.arrived_at as updated_at
from silver.users u
inner join bronze.users b on u.source_file = b.source_file and u.line_number = b.line_number;

-- needs: silver.payment_methods, bronze.payment_methods
create or replace view investigator.payment_methods as
select
    p.payment_method_id, p.user_id, p.kind,
    get_json_object(b.line, '$.last4') as last4,
    p.issuer_country, p.created_date, b.line as raw_line, p.arrived_at as updated_at
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
