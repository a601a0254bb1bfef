{{ config(
    materialized='table',
    pre_hook=["create table if not exists {{ target.schema }}.hooks (what text)", "delete from {{ target.schema }}.hooks",
              "insert into {{ target.schema }}.hooks values ('before')"],
    post_hook="insert into {{ target.schema }}.hooks values ('after')"
) }}
select 1 as one
