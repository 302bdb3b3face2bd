//! Secrets that dimpl works with and never holds. It does not zeroize, so what the key exchange
//! gives, and all that leads from there to the SRTP keys, stays here: dimpl gets random handles of
//! the same lengths, and each HMAC under a handle is made with the secret that it stands for. What
//! dimpl does get are the secrets of its own records, from which no other can be computed.
#![deny(clippy::arithmetic_side_effects)]

use alloc::vec::Vec;

use zeroize::{Zeroize, Zeroizing};

use crate::util::{Rng, Secret};

/// Secrets of one session's instances: a handshake has six, and forged hellos come to none.
const MAX_SECRETS: usize = 64;
/// The master secret of DTLS 1.2 (RFC 5246 §8.1).
const MASTER_LEN: usize = 48;
/// The longest keying material: two keys and salts of AES-256.
const EXPORT_ROOM: usize = 192;
/// Where DTLS 1.2 derives the master secret (RFC 7627 §4).
const MASTER: &[u8] = b"extended master secret";
/// The SRTP keys, in both versions (RFC 5764 §4.2).
const EXPORT: &[u8] = b"EXTRACTOR-dtls_srtp";
/// The secrets of DTLS 1.3 from which others are derived (RFC 8446 §7.1, §7.5).
const HIDDEN: [&[u8]; 3] = [b"derived", b"exp master", EXPORT];

/// A tag and its length.
pub(super) type Tag = (Zeroizing<[u8; 64]>, usize);

/// What an HMAC under a hidden secret is for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Purpose {
    /// A secret that is hidden too.
    Hidden,
    /// A piece of the master secret of DTLS 1.2.
    Master,
    /// A piece of the keying material for SRTP; the first one or a later one.
    Export { first: bool },
    /// A piece of it in DTLS 1.3, made from the one before.
    NextExport,
    /// The master secret, or the keying material, of DTLS 1.2 is about to come.
    Begin,
    /// Nothing that must be hidden.
    Open,
}

impl Purpose {
    fn of(data: &[u8], tag_len: usize) -> Self {
        // RFC 5246 §5: A(1) is over label and seed, each piece over A(i), label and seed.
        let after = data.get(tag_len..).unwrap_or_default();
        if data.starts_with(MASTER) || data.starts_with(EXPORT) {
            return Self::Begin;
        }
        if after.starts_with(MASTER) {
            return Self::Master;
        }
        if after.starts_with(EXPORT) {
            return Self::Export { first: false };
        }
        match (expanded_label(data), expanded_label(after)) {
            (Some(label), _) if HIDDEN.contains(&label) => Self::Hidden,
            (Some(b"exporter"), _) => Self::Export { first: true },
            (None, Some(b"exporter")) => Self::NextExport,
            // The master secret of DTLS 1.3 is extracted from zeros.
            (None, None) if data.len() == tag_len && data.iter().all(|b| *b == 0) => Self::Hidden,
            _ => Self::Open,
        }
    }
}

/// The label of an HkdfLabel with its counter behind it, all of `data` (RFC 8446 §7.1, RFC 9147
/// §5.9).
fn expanded_label(data: &[u8]) -> Option<&[u8]> {
    let (len, rest) = data.get(2..)?.split_first()?;
    let (label, rest) = rest.split_at_checked(usize::from(*len))?;
    let (context_len, rest) = rest.split_first()?;
    let whole = rest.len() == usize::from(*context_len).saturating_add(1);
    label.strip_prefix(b"dtls13").filter(|_| whole)
}

/// The hidden secrets of a session, by their handles.
pub(super) struct Vault {
    secrets: Vec<(Vec<u8>, Secret<Vec<u8>>)>,
    /// The master secret that is being made: handle and secret.
    master: (Vec<u8>, Secret<Vec<u8>>),
    /// The keying material that was exported last.
    exported: Secret<Vec<u8>>,
}

impl Vault {
    pub(super) fn new() -> Self {
        let room = |len| Secret::new(Vec::with_capacity(len));
        Self {
            secrets: Vec::new(),
            master: (Vec::new(), room(EXPORT_ROOM)),
            exported: room(EXPORT_ROOM),
        }
    }

    /// Takes a secret into custody; its handle.
    pub(super) fn hide(&mut self, secret: &[u8], rng: &mut dyn Rng) -> Vec<u8> {
        let mut handle = alloc::vec![0; secret.len()];
        rng.fill(&mut handle);
        self.keep(handle.clone(), Secret::new(secret.to_vec()));
        handle
    }

    fn keep(&mut self, handle: Vec<u8>, secret: Secret<Vec<u8>>) {
        if self.secrets.len() >= MAX_SECRETS {
            self.secrets.remove(0);
        }
        self.secrets.push((handle, secret));
    }

    fn find(&self, handle: &[u8]) -> Option<Secret<Vec<u8>>> {
        let found = self.secrets.iter().find(|(known, _)| known == handle);
        found.map(|(_, secret)| secret.clone())
    }

    /// The keying material that stands for these bytes of dimpl's; empty if there is none.
    pub(super) fn exported(&mut self, len: usize) -> Secret<Vec<u8>> {
        let exported = self.exported.expose();
        let material = exported.get(..len).unwrap_or_default().to_vec();
        Secret::new(material)
    }

    /// The HMAC that dimpl asks for, or the handle of what it would be. `hmac` makes it.
    pub(super) fn hmac(
        &mut self,
        rng: &mut dyn Rng,
        hmac: &dyn Fn(&[u8], &[u8]) -> Tag,
        key: &[u8],
        data: &[u8],
    ) -> Tag {
        let Some(secret) = self.find(key) else {
            // What is extracted from a secret is one.
            return match self.find(data) {
                Some(secret) => self.hidden(&hmac(key, secret.expose()), rng),
                None => hmac(key, data),
            };
        };
        let key = secret.expose();
        let purpose = Purpose::of(data, hmac(&[], &[]).1);
        let tag = match purpose {
            Purpose::NextExport => self.next_export(hmac, key, data),
            _ => hmac(key, data),
        };
        match purpose {
            Purpose::Open => tag,
            Purpose::Hidden => self.hidden(&tag, rng),
            Purpose::Begin => {
                self.master.0.clear();
                self.master.1.expose_mut().zeroize();
                self.exported.expose_mut().zeroize();
                tag
            }
            Purpose::Master => self.master_piece(&tag, rng),
            Purpose::Export { first } => {
                if first {
                    self.exported.expose_mut().zeroize();
                }
                self.export(&tag)
            }
            Purpose::NextExport => self.export(&tag),
        }
    }

    fn hidden(&mut self, tag: &Tag, rng: &mut dyn Rng) -> Tag {
        let handle = self.hide(tag.0.get(..tag.1).unwrap_or_default(), rng);
        shown(&handle)
    }

    /// The pieces are joined and cut to the master secret's length.
    fn master_piece(&mut self, tag: &Tag, rng: &mut dyn Rng) -> Tag {
        let mut piece = alloc::vec![0; tag.1];
        rng.fill(&mut piece);
        let (handle, secret) = &mut self.master;
        if handle.len() < MASTER_LEN {
            handle.extend_from_slice(&piece);
            secret.expose_mut().extend_from_slice(tag.0.get(..tag.1).unwrap_or_default());
        }
        if let (Some(handle), Some(secret)) =
            (handle.get(..MASTER_LEN), secret.expose().get(..MASTER_LEN))
        {
            let (handle, secret) = (handle.to_vec(), Secret::new(secret.to_vec()));
            self.keep(handle, secret);
        }
        shown(&piece)
    }

    /// dimpl gets zeros.
    fn export(&mut self, tag: &Tag) -> Tag {
        let exported = self.exported.expose_mut();
        let piece = tag.0.get(..tag.1).unwrap_or_default();
        if exported.len().saturating_add(piece.len()) <= EXPORT_ROOM {
            exported.extend_from_slice(piece);
        }
        (Zeroizing::new([0; 64]), tag.1)
    }

    /// dimpl's data begin with the zeros that it got for the piece before.
    fn next_export(&self, hmac: &dyn Fn(&[u8], &[u8]) -> Tag, key: &[u8], data: &[u8]) -> Tag {
        let tag_len = hmac(&[], &[]).1;
        let exported = self.exported.expose();
        let from = exported.len().saturating_sub(tag_len);
        let mut real = Zeroizing::new(Vec::with_capacity(data.len()));
        real.extend_from_slice(exported.get(from..).unwrap_or_default());
        real.extend_from_slice(data.get(tag_len..).unwrap_or_default());
        hmac(key, &real)
    }
}

fn shown(bytes: &[u8]) -> Tag {
    let mut out = Zeroizing::new([0; 64]);
    out.iter_mut().zip(bytes).for_each(|(slot, byte)| *slot = *byte);
    (out, bytes.len())
}
