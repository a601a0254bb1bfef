{{ config(materialized='ephemeral') }}
select * from {{ ref('staged_sales') }} where amount > 1000
