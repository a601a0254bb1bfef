{{ config(materialized='table', enabled=env_var('SHOP_FAILS', '') != '') }}
select 1 / (id - id) as never from {{ ref('staged_sales') }}
