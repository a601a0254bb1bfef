//! Users.

use crate::house::{VERIFIER, check, with_ann};

#[tokio::test]
async fn a_verifier_is_kept_as_it_was_given() {
    let (_dir, catalogue) = with_ann().await;
    assert_eq!(
        catalogue
            .verifier("ann")
            .await
            .expect("an answer")
            .as_deref(),
        Some(VERIFIER)
    );
    assert_eq!(catalogue.verifier("bob").await.expect("an answer"), None);
    assert_eq!(
        catalogue.verifier("postgres").await.expect("an answer"),
        None
    );
    assert_eq!(
        catalogue
            .verifier("rapport_admin")
            .await
            .expect("an answer"),
        None
    );
}

#[tokio::test]
async fn a_password_in_clear_is_refused() {
    let (_dir, catalogue) = with_ann().await;
    assert!(catalogue.create_role("bob", "secret", false).await.is_err());
    assert!(catalogue.set_password("ann", "secret").await.is_err());
}

#[tokio::test]
async fn roles_are_made_changed_listed_and_removed() {
    let (_dir, catalogue) = with_ann().await;
    catalogue
        .create_role("Bob \"the\" admin", VERIFIER, true)
        .await
        .expect("a new role");
    let roles = catalogue.list_roles().await.expect("roles");
    let shown: Vec<_> = roles
        .iter()
        .map(|role| (role.name.as_str(), role.is_admin, role.can_login))
        .collect();
    assert_eq!(
        shown,
        [("Bob \"the\" admin", true, true), ("ann", false, true)]
    );
    let again = catalogue.create_role("ann", VERIFIER, false).await;
    assert_eq!(again.expect_err("it exists").code(), Some("42710"));
    let other = VERIFIER.replace("4096", "8192");
    catalogue
        .set_password("ann", &other)
        .await
        .expect("a new password");
    assert_eq!(
        catalogue.verifier("ann").await.expect("an answer"),
        Some(other)
    );
    check(
        &catalogue,
        "Bob \"the\" admin",
        "select current_user",
        &["Bob \"the\" admin"],
    )
    .await;
    catalogue
        .drop_role("Bob \"the\" admin")
        .await
        .expect("it goes");
    assert_eq!(catalogue.list_roles().await.expect("roles").len(), 1);
    assert_eq!(
        catalogue
            .drop_role("bob")
            .await
            .expect_err("no such role")
            .code(),
        Some("42704")
    );
}
