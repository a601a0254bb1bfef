{% snapshot shops_over_time %}
{{ config(unique_key='id', strategy='check', check_cols=['name', 'area']) }}
select id, name, area from {{ source('shop', 'shops') }}
{% endsnapshot %}
