select shop_id, count(*) as n from {{ ref('only_big') }} group by shop_id
