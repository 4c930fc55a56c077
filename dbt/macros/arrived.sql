{#- The newest arrival that this model already holds in a column; long ago for a model without rows. -#}
{% macro newest(column) -%}
  (select coalesce(max({{ column }}), timestamp'1970-01-01') from {{ this }})
{%- endmacro %}
