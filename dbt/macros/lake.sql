{#- Where the lake lies. `risklake marts` sets LAKE_ROOT; without it, the folder `data` beside this project. -#}
{% macro lake_root() -%}
  {%- set root = env_var('LAKE_ROOT', '') -%}
  {%- if root == '' -%}
    {%- set project = invocation_args_dict['project_dir'] | string -%}
    {%- if not project.startswith('/') -%}
      {%- set project = env_var('PWD') ~ '/' ~ project -%}
    {%- endif -%}
    {%- set root = project ~ '/../data' -%}
  {%- endif -%}
  {%- if not (root.startswith('/') or '://' in root) -%}
    {{ exceptions.raise_compiler_error("LAKE_ROOT is '" ~ root ~ "'; dbt needs an absolute folder or an address such as s3a://bucket/lake") }}
  {%- endif -%}
  {{ return(root.rstrip('/')) }}
{%- endmacro %}


{#- Tables lie in the lake, under the folder of their schema, whatever model they come from. -#}
{% macro spark__location_clause() %}
  location '{{ lake_root() }}/{{ model['schema'] }}/{{ model['alias'] }}'
{%- endmacro %}


{#- Schemas lie in the lake too; Spark would make a folder `spark-warehouse` otherwise. -#}
{% macro spark__create_schema(relation) -%}
  {%- call statement('create_schema') -%}
    create schema if not exists {{ relation }} location '{{ lake_root() }}/{{ relation.schema }}'
  {% endcall %}
{% endmacro %}


{#-
  The catalog of the embedded Spark is in memory: a fresh dbt process knows no table, and would build every incremental
  model anew. So before dbt asks which relations exist, every Delta table that lies in the lake gets its name.
-#}
{% macro spark__list_relations_without_caching(relation) %}
  {% do register_lake() %}
  {% call statement('list_relations_without_caching', fetch_result=True) -%}
    show table extended in {{ relation.schema }} like '*'
  {% endcall %}
  {% do return(load_result('list_relations_without_caching').table) %}
{% endmacro %}


{% macro register_lake() %}
  {%- set root = lake_root() -%}
  {%- set found = run_query(
    "select distinct regexp_extract(path, '([^/]+/[^/]+)/_delta_log/[^/]+$', 1) as folder"
    ~ " from binaryFile.`" ~ root ~ "/*/*/_delta_log/*.json` order by folder"
  ) -%}
  {%- for row in found -%}
    {%- set layer, table = row['folder'].split('/') -%}
    {%- do run_query("create schema if not exists `" ~ layer ~ "` location '" ~ root ~ "/" ~ layer ~ "'") -%}
    {%- do run_query(
      "create table if not exists `" ~ layer ~ "`.`" ~ table ~ "` using delta location '" ~ root ~ "/" ~ row['folder'] ~ "'"
    ) -%}
  {%- endfor -%}
{% endmacro %}
