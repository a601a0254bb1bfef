//! What every role is denied, so that a statement run as its own role can't become superuser, block the one
//! backend, or leave something behind; and the groups that give roles what they may.

/// Functions that PostgreSQL lets everybody call, and that nobody may call here. `%` is a wildcard.
///
/// `set_config` could reset role and session authorization, which `SET LOCAL` has put on the statement. Sleeping and
/// advisory locks of a session would hold what all sessions share. The rest writes.
const DENIED: [&str; 17] = [
    "set_config",
    r"lo\_%",
    "lowrite",
    "loread",
    r"pg\_sleep%",
    r"pg\_advisory\_lock%",
    r"pg\_try\_advisory\_lock%",
    r"pg\_advisory\_unlock",
    r"pg\_advisory\_unlock\_shared",
    "pg_cancel_backend",
    "pg_terminate_backend",
    "pg_notify",
    "pg_export_snapshot",
    "pg_logical_emit_message",
    r"binary\_upgrade\_%",
    r"pg\_replication\_origin\_%",
    r"pg\_switch\_wal",
];

const GROUPS: &str = "
DO $guard$
DECLARE
  group_name text;
  ours regclass;
BEGIN
  FOREACH group_name IN ARRAY ARRAY['rapport_reader', 'rapport_writer', 'rapport_admin'] LOOP
    IF NOT EXISTS (SELECT FROM pg_catalog.pg_roles WHERE rolname = group_name) THEN
      EXECUTE pg_catalog.format('CREATE ROLE %I NOLOGIN', group_name);
    END IF;
  END LOOP;
  EXECUTE pg_catalog.format('GRANT CREATE ON DATABASE %I TO rapport_writer', pg_catalog.current_database());
  EXECUTE pg_catalog.format('GRANT ALL ON DATABASE %I TO rapport_admin WITH GRANT OPTION', pg_catalog.current_database());
  FOR ours IN SELECT c.oid FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
    WHERE c.relkind IN ('r', 'v') AND pg_catalog.pg_get_userbyid(c.relowner) = current_user
      AND n.nspname !~ '^pg_' AND n.nspname <> 'information_schema' LOOP
    EXECUTE pg_catalog.format('GRANT ALL ON TABLE %s TO rapport_admin WITH GRANT OPTION', ours);
  END LOOP;
  EXECUTE pg_catalog.format('REVOKE TEMPORARY ON DATABASE %I FROM PUBLIC', pg_catalog.current_database());
END
$guard$;
GRANT ALL ON SCHEMA public TO rapport_admin WITH GRANT OPTION;
COMMENT ON ROLE rapport_reader IS 'May read the tables of the warehouse.';
COMMENT ON ROLE rapport_writer IS 'May read the tables of the warehouse and make tables.';
COMMENT ON ROLE rapport_admin IS 'Answers for the warehouse: may do and grant everything to its tables.';
GRANT rapport_reader TO rapport_writer;
GRANT rapport_writer TO rapport_admin;
GRANT USAGE ON SCHEMA public TO rapport_reader;
GRANT CREATE ON SCHEMA public TO rapport_writer;
ALTER DEFAULT PRIVILEGES GRANT SELECT, REFERENCES ON TABLES TO rapport_reader;
ALTER DEFAULT PRIVILEGES GRANT INSERT, UPDATE, DELETE, TRUNCATE ON TABLES TO rapport_writer;
ALTER DEFAULT PRIVILEGES GRANT USAGE ON SCHEMAS TO rapport_reader;
ALTER DEFAULT PRIVILEGES GRANT CREATE ON SCHEMAS TO rapport_writer;
ALTER DEFAULT PRIVILEGES GRANT ALL ON TABLES TO rapport_admin WITH GRANT OPTION;
ALTER DEFAULT PRIVILEGES GRANT ALL ON SCHEMAS TO rapport_admin WITH GRANT OPTION";

/// A session's temporary tables are ordinary ones here, in a schema of its own that is on its search_path. PostgreSQL does
/// not take it for a temporary one, so the views of the information schema have to ask somebody else.
const TEMPORARY: &str = r"
CREATE OR REPLACE FUNCTION pg_catalog.rapport_my_temp_schema() RETURNS oid LANGUAGE sql STABLE PARALLEL SAFE AS $guard$
  SELECT coalesce((
    SELECT n.oid FROM pg_catalog.pg_namespace n
    WHERE n.nspname LIKE 'pg\_tmp\_r%' AND n.nspname = ANY (pg_catalog.current_schemas(false)) LIMIT 1), 0::oid)
$guard$;
CREATE OR REPLACE FUNCTION pg_catalog.rapport_is_other_temp_schema(oid) RETURNS boolean LANGUAGE sql STABLE PARALLEL SAFE AS $guard$
  SELECT EXISTS (
    SELECT FROM pg_catalog.pg_namespace n
    WHERE n.oid = $1 AND n.nspname ~ '^pg_((toast_)?temp_|tmp_r)' AND n.nspname <> ALL (pg_catalog.current_schemas(false)))
$guard$;
DO $guard$
DECLARE
  one record;
BEGIN
  FOR one IN SELECT c.oid, c.relname, pg_catalog.pg_get_viewdef(c.oid) AS query
    FROM pg_catalog.pg_class c
    WHERE c.relnamespace = 'information_schema'::regnamespace AND c.relkind = 'v'
      AND pg_catalog.pg_get_viewdef(c.oid) ~ '[^_](pg_is_other_temp_schema|pg_my_temp_schema)'
    ORDER BY c.oid
  LOOP
    EXECUTE pg_catalog.format('CREATE OR REPLACE VIEW information_schema.%I AS %s', one.relname,
      pg_catalog.regexp_replace(one.query, '(pg_catalog\.)?\mpg_(is_other_temp_schema|my_temp_schema)\M', 'pg_catalog.rapport_\2', 'g'));
  END LOOP;
END
$guard$";

/// Asks whether [`set`] has been done to this database, whole.
pub(crate) const IS_SET: &str =
    "SELECT pg_catalog.shobj_description(oid, 'pg_authid') LIKE '%may do and grant everything%'
  AND NOT has_function_privilege('public', 'pg_catalog.set_config(text,text,boolean)', 'execute')
  AND pg_catalog.to_regnamespace('public') IS NOT NULL
  AND pg_catalog.to_regprocedure('pg_catalog.rapport_my_temp_schema()') IS NOT NULL
FROM pg_catalog.pg_roles WHERE rolname = 'rapport_admin'";

/// The statements that set it; they may be run again.
pub(crate) fn set() -> String {
    format!("{GROUPS};\n{TEMPORARY};\n{}", deny())
}

fn deny() -> String {
    let patterns: Vec<String> = DENIED.iter().map(|name| format!("'{name}'")).collect();
    format!(
        "DO $guard$
DECLARE
  denied regprocedure;
BEGIN
  FOR denied IN SELECT oid FROM pg_catalog.pg_proc
    WHERE pronamespace = 'pg_catalog'::regnamespace AND proname LIKE ANY (ARRAY[{}])
  LOOP
    EXECUTE pg_catalog.format('REVOKE EXECUTE ON FUNCTION %s FROM PUBLIC', denied);
  END LOOP;
END
$guard$",
        patterns.join(", ")
    )
}
