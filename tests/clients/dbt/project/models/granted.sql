{{ config(materialized='table', grants={'select': ['public']}) }}
select id, name from {{ source('shop', 'shops') }}
