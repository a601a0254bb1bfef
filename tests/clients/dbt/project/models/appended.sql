{{ config(materialized='incremental', incremental_strategy='append') }}
select max(id) as id from {{ ref('staged_sales') }}
