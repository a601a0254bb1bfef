//! The few statements that psql 15 sends and PostgreSQL 17 no longer understands, because a column was renamed.
//! Genuine PostgreSQL fails there too; but people type them every day.

use std::borrow::Cow;

/// psql 15's text → what 17 calls it.
const RENAMED: [(&str, &str); 2] = [
    // \l
    (
        "d.daticulocale as \"ICU Locale\"",
        "d.datlocale as \"ICU Locale\"",
    ),
    // \dO
    (
        "c.colliculocale AS \"ICU Locale\"",
        "c.colllocale AS \"ICU Locale\"",
    ),
];

/// `sql` as a server of this major version understands it.
pub(crate) fn for_server(sql: &str, version: u32) -> Cow<'_, str> {
    let mut sql = Cow::Borrowed(sql);
    if version >= 17 {
        for (old, new) in RENAMED {
            if sql.contains(old) {
                sql = Cow::Owned(sql.replace(old, new));
            }
        }
    }
    sql
}
