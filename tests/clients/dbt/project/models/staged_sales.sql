select id, shop_id, sold_at, amount, coalesce(note, 'none') as note
from {{ source('shop', 'sales') }}
