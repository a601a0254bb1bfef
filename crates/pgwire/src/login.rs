//! From the first byte to a proven role: negotiation, TLS, SCRAM-SHA-256, and what a session begins with.
//!
//! A role that does not exist is asked for its password like any other, with a salt that is its own and always the
//! same, so that nobody learns from the answers which roles exist. Whatever fails in here ends the connection.

use std::sync::Arc;

use bytes::{Buf, BytesMut};
use pgwire::api::auth::sasl::scram::{ScramSecret, ScramServerAuth, gen_salted_password};
use pgwire::api::auth::sasl::{SCRAM_SHA_256_METHOD, SCRAM_SHA_256_PLUS_METHOD};
use pgwire::messages::cancel::CancelRequest;
use pgwire::messages::startup::{
    Authentication, GssEncRequest, NegotiateProtocolVersion, SslRequest, Startup,
};
use pgwire::messages::{
    DecodeContext, Message, PgWireBackendMessage, PgWireFrontendMessage, ProtocolVersion,
};
use rapport_catalog_postgres::{Catalogue, Settings};
use tokio::io::{AsyncRead, AsyncWrite};

use crate::server::Shared;
use crate::settings;
use crate::sqlstate::{Failure, Result};
use crate::tls::Identity;
use crate::wire::{self, Broken, Wire};

/// What PostgreSQL and this server take for a password's strength unless told otherwise.
const ITERATIONS: usize = 4096;

const CANCEL_REQUEST: u32 = 80_877_102;

/// The first byte of a TLS handshake.
const TLS_HANDSHAKE: u8 = 0x16;

/// Who logged in, and what the client asked for.
pub struct Login {
    pub role: String,
    /// The one that was asked for by name; whether it exists has not been looked at.
    pub database: Option<String>,
    pub version: ProtocolVersion,
    /// Settings from the startup packet, which nobody has judged yet.
    pub settings: Settings,
}

/// `None` when the client wanted no session: a cancel request, or nothing at all.
pub async fn login<S: AsyncRead + AsyncWrite + Unpin>(
    wire: &mut Wire<S>,
    shared: &Arc<Shared>,
) -> Result<Option<Login>> {
    let Some((startup, identity)) = negotiate(wire, shared).await.map_err(Failure::into_fatal)?
    else {
        return Ok(None);
    };
    let mut parameters = startup.parameters;
    let version = agree(wire, startup.protocol_number_minor, &mut parameters);
    let role = parameters
        .remove("user")
        .filter(|role| !role.is_empty())
        .ok_or_else(|| {
            Failure::fatal(
                "28000",
                "no PostgreSQL user name specified in startup packet",
            )
        })?;
    // libpq asks for one of the user's name when the user has not asked for any.
    let database = parameters
        .remove("database")
        .filter(|name| !name.is_empty() && *name != role);
    let is_required = shared
        .config
        .tls
        .as_ref()
        .is_some_and(|tls| tls.is_required());
    if is_required && !wire.is_encrypted() {
        let message = format!("connection of user \"{role}\" refused, no encryption");
        let hint = "This server takes encrypted connections only: ask for sslmode=require or more.";
        return Err(Failure::fatal("28000", message).with_hint(hint));
    }
    if parameters
        .remove("replication")
        .is_some_and(|value| !matches!(value.as_str(), "false" | "off" | "no" | "0"))
    {
        return Err(Failure::fatal(
            "0A000",
            "replication connections are not supported",
        ));
    }
    let mut settings = match parameters.remove("options") {
        Some(options) => settings::startup_options(&options)?,
        None => Settings::new(),
    };
    settings.extend(
        parameters
            .into_iter()
            .map(|(name, value)| (name.to_lowercase(), value)),
    );

    let secret = secret_of(&shared.catalogue, &role, &shared.config.secret).await?;
    prove(wire, &role, secret, identity.as_deref()).await?;
    Ok(Some(Login {
        role,
        database,
        version,
        settings,
    }))
}

/// Up to the startup packet, encrypted if the client wants it and the server can.
async fn negotiate<S: AsyncRead + AsyncWrite + Unpin>(
    wire: &mut Wire<S>,
    shared: &Arc<Shared>,
) -> Result<Option<(Startup, Option<Arc<Identity>>)>> {
    let mut asked_tls = false;
    let mut asked_gss = false;
    let mut identity = None;
    if let Some(tls) = &shared.config.tls
        && wire.first_byte().await? == Some(TLS_HANDSHAKE)
    {
        let shown = tls.identity();
        wire.encrypt(&shown).await?;
        if !wire.has_alpn() {
            let message = "received direct SSL connection request without ALPN protocol negotiation extension";
            return Err(Failure::fatal("08P01", message));
        }
        identity = Some(shown);
        (asked_tls, asked_gss) = (true, true);
    }
    loop {
        let Some(mut packet) = wire.startup_packet().await? else {
            return Ok(None);
        };
        let code = (&packet[4..8]).get_u32();
        let asked = if code == SslRequest::BODY_MAGIC_NUMBER as u32 {
            &mut asked_tls
        } else if code == GssEncRequest::BODY_MAGIC_NUMBER as u32 {
            &mut asked_gss
        } else if code == CANCEL_REQUEST {
            cancel(packet, shared);
            return Ok(None);
        } else if code >> 16 != 3 {
            return Err(Failure::fatal(
                "0A000",
                format!(
                    "unsupported frontend protocol {}.{}: server supports 3.0 to 3.2",
                    code >> 16,
                    code & 0xffff
                ),
            ));
        } else {
            let invalid = || {
                Failure::fatal(
                    "08P01",
                    "invalid startup packet layout: expected terminator as last byte",
                )
            };
            if packet.len() < 9 || packet.last() != Some(&0) {
                return Err(invalid());
            }
            wire::check_text(0, &packet[8..])?;
            let context = DecodeContext::default();
            let startup = Startup::decode(&mut packet, &context).map_err(|_| invalid())?;
            return Ok(startup.map(|startup| (startup, identity)));
        };
        // Bytes that came along would count as sent under encryption, had it been agreed on.
        if std::mem::replace(asked, true) || packet.len() != 8 || wire.has_input() {
            return Err(Failure::fatal(
                "08P01",
                "received unencrypted data after SSL or GSSAPI request",
            ));
        }
        let is_tls = code == SslRequest::BODY_MAGIC_NUMBER as u32;
        match shared.config.tls.as_ref().filter(|_| is_tls) {
            Some(tls) => {
                wire.output().extend_from_slice(b"S");
                wire.flush().await?;
                let shown = tls.identity();
                wire.encrypt(&shown).await?;
                identity = Some(shown);
                asked_gss = true;
            }
            None => {
                wire.output().extend_from_slice(b"N");
                wire.flush().await?;
            }
        }
    }
}

fn cancel(mut packet: BytesMut, shared: &Shared) {
    let context = DecodeContext::new(ProtocolVersion::PROTOCOL3_2);
    if let Ok(Some(request)) = CancelRequest::decode(&mut packet, &context) {
        shared.registry.cancel(request.pid, &request.secret_key);
    }
}

/// The newest version that both sides know; says so if that is not what the client asked for.
fn agree<S: AsyncRead + AsyncWrite + Unpin>(
    wire: &mut Wire<S>,
    minor: u16,
    parameters: &mut std::collections::BTreeMap<String, String>,
) -> ProtocolVersion {
    let version = match minor {
        0 | 1 => ProtocolVersion::PROTOCOL3_0,
        _ => ProtocolVersion::PROTOCOL3_2,
    };
    let unknown: Vec<String> = parameters
        .keys()
        .filter(|name| name.starts_with("_pq_."))
        .cloned()
        .collect();
    parameters.retain(|name, _| !name.starts_with("_pq_."));
    if !matches!(minor, 0 | 2) || !unknown.is_empty() {
        wire.put(PgWireBackendMessage::NegotiateProtocolVersion(
            NegotiateProtocolVersion::new(version.into(), unknown),
        ));
    }
    version
}

/// SCRAM-SHA-256, RFC 7677; within TLS it can be bound to the server's certificate, so that nobody can stand between.
async fn prove<S: AsyncRead + AsyncWrite + Unpin>(
    wire: &mut Wire<S>,
    role: &str,
    secret: ScramSecret,
    identity: Option<&Identity>,
) -> Result<()> {
    let refused = || {
        Failure::fatal(
            "28P01",
            format!("password authentication failed for user \"{role}\""),
        )
    };
    let malformed = || Failure::fatal("08P01", "malformed SCRAM message");

    let scram = identity.map_or_else(ScramServerAuth::new, |identity| identity.scram.clone());
    let mut offered = vec![SCRAM_SHA_256_METHOD.to_owned()];
    if scram.supports_channel_binding() {
        offered.insert(0, SCRAM_SHA_256_PLUS_METHOD.to_owned());
    }
    wire.put(PgWireBackendMessage::Authentication(Authentication::SASL(
        offered.clone(),
    )));
    wire.flush().await?;
    let first = wire::sasl_initial(password_message(wire).await?).ok_or_else(malformed)?;
    if !offered.contains(&first.auth_method) {
        return Err(Failure::fatal(
            "08P01",
            "client selected an invalid SASL authentication mechanism",
        ));
    }
    let data = first.data.unwrap_or_default();
    let is_bound = first.auth_method == SCRAM_SHA_256_PLUS_METHOD;
    if data.starts_with(b"p") != is_bound {
        return Err(malformed().with_detail(match is_bound {
            true => "The client selected SCRAM-SHA-256-PLUS, but the SCRAM message does not include channel binding data.",
            false => "The client selected SCRAM-SHA-256 without channel binding, but the SCRAM message includes channel binding data.",
        }));
    }
    let (server_first, waiting) = scram
        .on_client_first_message_with_secret(&data, secret)
        .map_err(|_| malformed())?;
    wire.put(PgWireBackendMessage::Authentication(
        Authentication::SASLContinue(server_first.into()),
    ));
    wire.flush().await?;

    let last = password_message(wire)
        .await?
        .into_sasl_response()
        .map_err(|_| malformed())?;
    let server_final = waiting
        .on_client_final_message(&last.data)
        .map_err(|_| refused())?;
    wire.put(PgWireBackendMessage::Authentication(
        Authentication::SASLFinal(server_final.into()),
    ));
    wire.put(PgWireBackendMessage::Authentication(Authentication::Ok));
    Ok(())
}

async fn password_message<S: AsyncRead + AsyncWrite + Unpin>(
    wire: &mut Wire<S>,
) -> Result<pgwire::messages::startup::PasswordMessageFamily> {
    match wire.message().await? {
        Some(PgWireFrontendMessage::PasswordMessageFamily(message)) => Ok(message),
        Some(_) => Err(Failure::fatal("08P01", "expected SASL response")),
        None => Err(Broken::Closed.into()),
    }
}

/// The role's verifier, or one that no password fits, made of the name and the server's secret.
async fn secret_of(catalogue: &Catalogue, role: &str, secret: &[u8; 32]) -> Result<ScramSecret> {
    // Both ways ask the catalogue, and both ways compute the second one, so that they cost the same.
    let known = catalogue.verifier(role).await.map_err(|error| {
        tracing::error!(error = %error, "a role's verifier could not be read");
        Failure::fatal("58000", "the catalogue could not be asked for the role")
    })?;
    let mock = mock_secret(role, secret);
    Ok(known.as_deref().and_then(read_verifier).unwrap_or(mock))
}

fn mock_secret(role: &str, secret: &[u8; 32]) -> ScramSecret {
    let hex = secret
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect::<String>();
    let derive = |what: &str| gen_salted_password(&hex, format!("{what}:{role}").as_bytes(), 1);
    let mut salt = derive("salt");
    salt.truncate(16);
    ScramSecret::Verifier {
        salt,
        iterations: ITERATIONS,
        stored_key: derive("stored key"),
        server_key: derive("server key"),
    }
}

/// `SCRAM-SHA-256$4096:salt$stored:server`, each in base64.
fn read_verifier(verifier: &str) -> Option<ScramSecret> {
    let rest = verifier.strip_prefix("SCRAM-SHA-256$")?;
    let (salting, keys) = rest.split_once('$')?;
    let (iterations, salt) = salting.split_once(':')?;
    let (stored_key, server_key) = keys.split_once(':')?;
    Some(ScramSecret::Verifier {
        salt: from_base64(salt)?,
        iterations: iterations.parse().ok()?,
        stored_key: from_base64(stored_key)?,
        server_key: from_base64(server_key)?,
    })
}

fn from_base64(text: &str) -> Option<Vec<u8>> {
    let mut bytes = Vec::with_capacity(text.len() * 3 / 4);
    let mut bits = 0u32;
    let mut n = 0;
    for c in text.trim_end_matches('=').bytes() {
        let value = match c {
            b'A'..=b'Z' => c - b'A',
            b'a'..=b'z' => c - b'a' + 26,
            b'0'..=b'9' => c - b'0' + 52,
            b'+' => 62,
            b'/' => 63,
            _ => return None,
        };
        bits = bits << 6 | u32::from(value);
        n += 6;
        if n >= 8 {
            n -= 8;
            bytes.push((bits >> n) as u8);
        }
    }
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use pgwire::messages::startup::{PasswordMessageFamily, SASLInitialResponse, SASLResponse};
    use postgres_protocol::authentication::sasl::{ChannelBinding, ScramSha256};
    use std::time::Duration;
    use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream};

    /// A whole login over a pipe: what the server says of it, and the kinds of its messages.
    async fn log_in(secret: ScramSecret, password: &str) -> (Result<()>, Vec<u8>) {
        let (client, server) = tokio::io::duplex(16 << 10);
        let mut wire = Wire::new(server, Duration::from_secs(5));
        let server = async {
            let proved = prove(&mut wire, "ann", secret, None).await;
            if let Err(failure) = &proved {
                wire.put(failure.clone().into_message());
            }
            wire.close().await;
            proved
        };
        tokio::join!(server, answer(client, password))
    }

    async fn answer(mut stream: DuplexStream, password: &str) -> Vec<u8> {
        let mut kinds = Vec::new();
        let mut scram = ScramSha256::new(password.as_bytes(), ChannelBinding::unsupported());
        while let Ok(kind) = stream.read_u8().await {
            let length = stream.read_u32().await.expect("a length after a kind") as usize - 4;
            let mut body = vec![0; length];
            stream.read_exact(&mut body).await.expect("a whole message");
            kinds.push(kind);
            let code = body.first_chunk().map(|code| u32::from_be_bytes(*code));
            let message = match (kind, code) {
                (b'R', Some(10)) => {
                    let data = scram.message().to_vec();
                    PasswordMessageFamily::SASLInitialResponse(SASLInitialResponse::new(
                        SCRAM_SHA_256_METHOD.into(),
                        Some(data.into()),
                    ))
                }
                (b'R', Some(11)) => {
                    scram.update(&body[4..]).expect("a server-first message");
                    let data = scram.message().to_vec();
                    PasswordMessageFamily::SASLResponse(SASLResponse::new(data.into()))
                }
                _ => continue,
            };
            let mut out = BytesMut::new();
            message.encode(&mut out).expect("a short message");
            stream.write_all(&out).await.expect("the server listens");
        }
        kinds
    }

    #[tokio::test]
    async fn the_right_password_is_let_in() {
        let secret = read_verifier(&crate::scram_verifier("sesame")).expect("our own verifier");
        let (proved, kinds) = log_in(secret, "sesame").await;
        assert_eq!(proved, Ok(()));
        assert_eq!(kinds, b"RRRR");
    }

    #[tokio::test]
    async fn a_wrong_password_and_an_unknown_role_look_the_same() {
        let secret = read_verifier(&crate::scram_verifier("sesame")).expect("our own verifier");
        let wrong = log_in(secret, "guess").await;
        let unknown = log_in(mock_secret("ann", &[7; 32]), "guess").await;
        assert_eq!(wrong, unknown);
        let failure = wrong.0.expect_err("a guess");
        assert_eq!((failure.code(), failure.is_fatal()), ("28P01", true));
    }

    #[tokio::test]
    async fn nonsense_instead_of_a_proof_ends_the_login() {
        for n in 0..200 {
            let (mut client, server) = tokio::io::duplex(16 << 10);
            let mut wire = Wire::new(server, Duration::from_secs(5));
            let mut frame = b"p".to_vec();
            let body: Vec<u8> = std::iter::repeat_with(rand::random).take(n).collect();
            frame.extend_from_slice(&(n as u32 + 4).to_be_bytes());
            frame.extend_from_slice(&body);
            client.write_all(&frame).await.expect("the pipe is open");
            let failure = prove(&mut wire, "ann", mock_secret("ann", &[7; 32]), None)
                .await
                .expect_err("nonsense");
            assert!(failure.is_fatal());
        }
    }

    #[test]
    fn a_verifier_is_read_back() {
        let verifier = crate::scram_verifier("sesame");
        let Some(ScramSecret::Verifier {
            salt,
            iterations,
            stored_key,
            server_key,
        }) = read_verifier(&verifier)
        else {
            panic!("not read: {verifier}");
        };
        assert_eq!(
            (salt.len(), iterations, stored_key.len(), server_key.len()),
            (16, 4096, 32, 32)
        );
    }

    #[test]
    fn an_unknown_role_always_has_the_same_salt_and_its_own() {
        let salt = |role, secret| match mock_secret(role, &[secret; 32]) {
            ScramSecret::Verifier { salt, .. } => salt,
            ScramSecret::SaltedPassword { .. } => unreachable!("made as a verifier"),
        };
        assert_eq!(salt("ann", 1), salt("ann", 1));
        assert_ne!(salt("ann", 1), salt("bob", 1));
        assert_ne!(salt("ann", 1), salt("ann", 2));
        assert_eq!(salt("ann", 1).len(), 16);
    }
}
