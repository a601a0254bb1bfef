{{ config(materialized='table') }}
select s.id as shop_id, s.name, count(*) as n, sum(x.amount) as total
from {{ source('shop', 'shops') }} s
join {{ ref('staged_sales') }} x on x.shop_id = s.id
group by s.id, s.name
