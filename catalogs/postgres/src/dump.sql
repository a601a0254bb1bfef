-- Statements that make roles, schemas and privileges anew, one per row, in order.
-- Run with an empty search_path. Roles named pg_… and the superuser are PostgreSQL's own.
WITH role AS (
  SELECT * FROM pg_catalog.pg_authid WHERE rolname !~ '^pg_' AND rolname <> current_user
), schema AS (
  SELECT * FROM pg_catalog.pg_namespace WHERE nspname !~ '^pg_' AND nspname <> 'information_schema'
), acl (stage, kind, name, owner, acl, normal) AS (
  SELECT 4, 'SCHEMA', pg_catalog.format('%I', nspname), nspowner, nspacl, pg_catalog.acldefault('n', nspowner)
  FROM schema WHERE nspacl IS NOT NULL
  UNION ALL
  SELECT 5, 'TABLE', pg_catalog.format('%I.%I', s.nspname, c.relname), c.relowner, c.relacl, pg_catalog.acldefault('r', c.relowner)
  FROM pg_catalog.pg_class c JOIN schema s ON s.oid = c.relnamespace
  WHERE c.relkind IN ('r', 'v') AND c.relacl IS NOT NULL
), normal_acl (name, owner, kind, acl) AS (
  SELECT pg_catalog.format('FOR ROLE %s%s',
      CASE WHEN pg_catalog.pg_get_userbyid(a.defaclrole) = current_user THEN 'CURRENT_USER' ELSE pg_catalog.quote_ident(pg_catalog.pg_get_userbyid(a.defaclrole)) END,
      ' IN SCHEMA ' || pg_catalog.quote_ident(s.nspname)),
    a.defaclrole,
    CASE a.defaclobjtype WHEN 'r' THEN 'TABLES' WHEN 'n' THEN 'SCHEMAS' WHEN 'S' THEN 'SEQUENCES' WHEN 'T' THEN 'TYPES' ELSE 'FUNCTIONS' END,
    a.defaclacl
  FROM pg_catalog.pg_default_acl a LEFT JOIN schema s ON s.oid = a.defaclnamespace
)
SELECT sql FROM (
  SELECT 1 AS stage, rolname::text AS name, 0 AS step,
    pg_catalog.format('CREATE ROLE %I WITH %s %s %s %s %s CONNECTION LIMIT %s%s%s', rolname,
      CASE WHEN rolsuper THEN 'SUPERUSER' ELSE 'NOSUPERUSER' END,
      CASE WHEN rolcreaterole THEN 'CREATEROLE' ELSE 'NOCREATEROLE' END,
      CASE WHEN rolcreatedb THEN 'CREATEDB' ELSE 'NOCREATEDB' END,
      CASE WHEN rolinherit THEN 'INHERIT' ELSE 'NOINHERIT' END,
      CASE WHEN rolcanlogin THEN 'LOGIN' ELSE 'NOLOGIN' END,
      rolconnlimit,
      pg_catalog.format(' PASSWORD %L', rolpassword),
      ' VALID UNTIL ' || pg_catalog.quote_literal(rolvaliduntil)) AS sql
  FROM role
  UNION ALL
  SELECT 1, rolname, 1, pg_catalog.format('COMMENT ON ROLE %I IS %L', rolname, pg_catalog.shobj_description(oid, 'pg_authid'))
  FROM role WHERE pg_catalog.shobj_description(oid, 'pg_authid') IS NOT NULL
  UNION ALL
  -- Options that PostgreSQL has since 16, where they are not the usual ones.
  SELECT 2, m.rolname, 0, pg_catalog.format('GRANT %I TO %I%s%s', g.rolname, m.rolname,
    CASE WHEN a.admin_option THEN ' WITH ADMIN OPTION' ELSE '' END,
    CASE WHEN pg_catalog.to_jsonb(a) ->> 'inherit_option' = 'false' OR pg_catalog.to_jsonb(a) ->> 'set_option' = 'false' THEN
      pg_catalog.format('%s INHERIT %s, SET %s', CASE WHEN a.admin_option THEN ',' ELSE ' WITH' END,
        pg_catalog.to_jsonb(a) ->> 'inherit_option', pg_catalog.to_jsonb(a) ->> 'set_option') ELSE '' END)
  FROM pg_catalog.pg_auth_members a
  JOIN pg_catalog.pg_authid g ON g.oid = a.roleid JOIN role m ON m.oid = a.member
  UNION ALL
  SELECT 2, rolname, 1, pg_catalog.format('ALTER ROLE %I SET %s', rolname,
    CASE WHEN pg_catalog.split_part(setting, '=', 1) IN ('search_path', 'temp_tablespaces')
      THEN pg_catalog.format('%I = %s', pg_catalog.split_part(setting, '=', 1), pg_catalog.substr(setting, pg_catalog.strpos(setting, '=') + 1))
      ELSE pg_catalog.format('%I = %L', pg_catalog.split_part(setting, '=', 1), pg_catalog.substr(setting, pg_catalog.strpos(setting, '=') + 1)) END)
  FROM pg_catalog.pg_db_role_setting s JOIN role r ON r.oid = s.setrole, unnest(s.setconfig) AS setting
  UNION ALL
  SELECT 3, nspname, 0, pg_catalog.format('CREATE SCHEMA IF NOT EXISTS %I', nspname) FROM schema
  UNION ALL
  SELECT 3, nspname, 1, pg_catalog.format('ALTER SCHEMA %I OWNER TO %I', nspname, pg_catalog.pg_get_userbyid(nspowner))
  FROM schema WHERE pg_catalog.pg_get_userbyid(nspowner) <> current_user
  UNION ALL
  SELECT 3, nspname, 2, pg_catalog.format('COMMENT ON SCHEMA %I IS %L', nspname, pg_catalog.obj_description(oid, 'pg_namespace'))
  FROM schema WHERE pg_catalog.obj_description(oid, 'pg_namespace') IS NOT NULL
  UNION ALL
  -- What the owner has by nature comes with the object; the rest is taken and given again.
  SELECT stage, name, 0, pg_catalog.format('REVOKE ALL ON %s %s FROM PUBLIC', kind, name) FROM acl
  UNION ALL
  SELECT stage, name, 1, pg_catalog.format('GRANT %s ON %s %s TO %s%s', x.privilege_type, kind, name,
    CASE WHEN x.grantee = 0 THEN 'PUBLIC' ELSE pg_catalog.quote_ident(pg_catalog.pg_get_userbyid(x.grantee)) END,
    CASE WHEN x.is_grantable THEN ' WITH GRANT OPTION' ELSE '' END)
  FROM acl, pg_catalog.aclexplode(acl) x WHERE x.grantee <> owner
  UNION ALL
  -- The database of the dump may have another name than the one that takes it.
  SELECT 4, 'database', 0, pg_catalog.format('DO $grant$ BEGIN EXECUTE pg_catalog.format(''GRANT %s ON DATABASE %%I TO %s%s'', pg_catalog.current_database()); END $grant$',
    x.privilege_type, pg_catalog.quote_ident(pg_catalog.pg_get_userbyid(x.grantee)),
    CASE WHEN x.is_grantable THEN ' WITH GRANT OPTION' ELSE '' END)
  FROM pg_catalog.pg_database d, pg_catalog.aclexplode(d.datacl) x
  WHERE d.datname = pg_catalog.current_database() AND x.grantee NOT IN (0, d.datdba)
  UNION ALL
  SELECT 7, name, 0, pg_catalog.format('ALTER DEFAULT PRIVILEGES %s GRANT %s ON %s TO %s%s', name, x.privilege_type, kind,
    CASE WHEN x.grantee = 0 THEN 'PUBLIC' ELSE pg_catalog.quote_ident(pg_catalog.pg_get_userbyid(x.grantee)) END,
    CASE WHEN x.is_grantable THEN ' WITH GRANT OPTION' ELSE '' END)
  FROM normal_acl, pg_catalog.aclexplode(acl) x WHERE x.grantee <> owner
  UNION ALL
  SELECT 6, pg_catalog.format('%I.%I', s.nspname, c.relname), 0,
    pg_catalog.format('GRANT %s (%I) ON TABLE %I.%I TO %s%s', x.privilege_type, a.attname, s.nspname, c.relname,
      CASE WHEN x.grantee = 0 THEN 'PUBLIC' ELSE pg_catalog.quote_ident(pg_catalog.pg_get_userbyid(x.grantee)) END,
      CASE WHEN x.is_grantable THEN ' WITH GRANT OPTION' ELSE '' END)
  FROM pg_catalog.pg_attribute a
  JOIN pg_catalog.pg_class c ON c.oid = a.attrelid JOIN schema s ON s.oid = c.relnamespace,
    pg_catalog.aclexplode(a.attacl) x
  WHERE c.relkind IN ('r', 'v') AND a.attnum > 0 AND NOT a.attisdropped
) AS statements
