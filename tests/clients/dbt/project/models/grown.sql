{{ config(materialized='incremental', unique_key='id', incremental_strategy='delete+insert') }}
select id, shop_id, amount from {{ ref('staged_sales') }}
{% if is_incremental() %}
where id > (select max(id) - 10 from {{ this }})
{% else %}
where id <= 500
{% endif %}
