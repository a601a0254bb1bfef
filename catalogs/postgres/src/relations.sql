-- Every table and view of the warehouse as one JSON array, in order of creation.
-- Run with an empty search_path, so that every name in an expression is qualified.
SELECT coalesce(json_agg(r ORDER BY r.oid), '[]') FROM (
  SELECT
    c.oid::int8 AS oid,
    c.relfilenode::int8 AS file,
    n.nspname AS schema,
    c.relname AS "table",
    c.relkind = 'v' AS is_view,
    CASE WHEN pg_catalog.pg_get_userbyid(c.relowner) = session_user THEN 'postgres' ELSE pg_catalog.pg_get_userbyid(c.relowner) END AS owner,
    c.reltuples::int8 AS rows,
    pg_catalog.obj_description(c.oid, 'pg_class') AS comment,
    CASE WHEN c.relkind = 'v' THEN pg_catalog.pg_get_viewdef(c.oid) END AS query,
    (
      SELECT coalesce(json_agg(json_build_object(
        'number', a.attnum,
        'name', a.attname,
        'pg_type', pg_catalog.format_type(a.atttypid, a.atttypmod),
        'type_oid', a.atttypid::int8,
        'type_modifier', a.atttypmod,
        'not_null', a.attnotnull,
        'default', pg_catalog.pg_get_expr(d.adbin, d.adrelid),
        'comment', pg_catalog.col_description(c.oid, a.attnum)
      ) ORDER BY a.attnum), '[]')
      FROM pg_catalog.pg_attribute a
      LEFT JOIN pg_catalog.pg_attrdef d ON d.adrelid = a.attrelid AND d.adnum = a.attnum
      WHERE a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
    ) AS columns,
    (
      SELECT coalesce(json_agg(json_build_object(
        'kind', k.contype,
        'name', k.conname,
        'columns', (
          SELECT json_agg(a.attname ORDER BY i)
          FROM unnest(k.conkey) WITH ORDINALITY AS u (n, i)
          JOIN pg_catalog.pg_attribute a ON a.attrelid = k.conrelid AND a.attnum = u.n
        ),
        'schema', fn.nspname,
        'table', f.relname,
        'ref_columns', (
          SELECT json_agg(a.attname ORDER BY i)
          FROM unnest(k.confkey) WITH ORDINALITY AS u (n, i)
          JOIN pg_catalog.pg_attribute a ON a.attrelid = k.confrelid AND a.attnum = u.n
        )
      ) ORDER BY k.oid), '[]')
      FROM pg_catalog.pg_constraint k
      LEFT JOIN pg_catalog.pg_class f ON f.oid = k.confrelid
      LEFT JOIN pg_catalog.pg_namespace fn ON fn.oid = f.relnamespace
      WHERE k.conrelid = c.oid AND k.contype IN ('p', 'u', 'f')
    ) AS keys,
    (
      SELECT coalesce(json_agg(DISTINCT d.refobjid::int8), '[]')
      FROM pg_catalog.pg_rewrite w
      JOIN pg_catalog.pg_depend d ON d.classid = 'pg_catalog.pg_rewrite'::regclass AND d.objid = w.oid
      WHERE w.ev_class = c.oid AND d.refclassid = 'pg_catalog.pg_class'::regclass AND d.refobjid <> c.oid
    ) AS reads
  FROM pg_catalog.pg_class c
  JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
  WHERE c.relkind IN ('r', 'v') AND (n.nspname !~ '^pg_' OR n.nspname ~ '^pg_tmp_r') AND n.nspname <> 'information_schema'
) r
