{% macro count_sales() %}
  {% set found = run_query('select count(*) from ' ~ source('shop', 'sales')) %}
  {{ log('counted ' ~ found.columns[0].values()[0], info=true) }}
{% endmacro %}
