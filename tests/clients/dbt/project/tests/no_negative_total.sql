select * from {{ ref('shop_sums') }} where total < 0
