//! The offer/answer machine of one dialog (RFC 3264).

use super::negotiate::{Acceptance, accept_line, read_answer};
use super::offer::offer_lines;
use super::{
    CodecDescription, LocalMedia, MAX_MEDIA, MediaDescription, MediaKind, NegotiatedMedia,
    NegotiationError, Origin, SessionDescription,
};
use alloc::{boxed::Box, string::ToString, vec::Vec};
use core::net::IpAddr;

/// Where the exchange stands (RFC 3264 §4: one offer at a time).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum NegotiationState {
    /// No offer is open.
    Stable,
    /// Our offer waits for its answer.
    LocalOffer,
    /// The peer's offer waits for our answer.
    RemoteOffer,
}

/// The offer/answer machine of one dialog. A clone serves each fork of a request, which answers
/// the same offer on its own.
#[derive(Debug, Clone)]
pub struct Negotiator {
    session_id: u64,
    /// The last description that was sent: the version of the o= line counts its changes.
    last_sent: Option<SessionDescription>,
    /// What both sides agreed on last.
    agreed: Option<Agreement>,
    open: Open,
}

#[derive(Debug, Clone)]
struct Agreement {
    local: SessionDescription,
    remote: SessionDescription,
    media: NegotiatedMedia,
}

#[derive(Debug, Clone)]
enum Open {
    Nothing,
    /// `lines` are the audio lines of which the peer shall take one, the preferred one first.
    Local {
        offer: SessionDescription,
        lines: Vec<usize>,
        local: Box<LocalMedia>,
    },
    Remote(SessionDescription),
}

impl Negotiator {
    /// A machine for a new session. `session_id` should be random: with the address it names the
    /// session (RFC 4566 §5.2). 63 bits of it are used.
    pub fn new(session_id: u64) -> Self {
        // RFC 3264 §5: it must fit a signed 64-bit integer.
        let session_id = session_id & (u64::MAX >> 1);
        Self { session_id, last_sent: None, agreed: None, open: Open::Nothing }
    }

    /// Where the exchange stands.
    pub const fn state(&self) -> NegotiationState {
        match self.open {
            Open::Nothing => NegotiationState::Stable,
            Open::Local { .. } => NegotiationState::LocalOffer,
            Open::Remote(_) => NegotiationState::RemoteOffer,
        }
    }

    /// What is agreed on; an open or failed exchange does not change it.
    pub fn agreed(&self) -> Option<&NegotiatedMedia> {
        self.agreed.as_ref().map(|agreement| &agreement.media)
    }

    /// Our side of what is agreed on.
    pub fn local(&self) -> Option<&SessionDescription> {
        self.agreed.as_ref().map(|agreement| &agreement.local)
    }

    /// The peer's side of what is agreed on.
    pub fn remote(&self) -> Option<&SessionDescription> {
        self.agreed.as_ref().map(|agreement| &agreement.remote)
    }

    /// The peer's offer that waits for an answer.
    pub const fn remote_offer(&self) -> Option<&SessionDescription> {
        match &self.open {
            Open::Remote(offer) => Some(offer),
            _ => None,
        }
    }

    /// Makes an offer: the first one, or a re-offer that keeps the m= lines and the meaning of
    /// the payload types (RFC 3264 §8).
    ///
    /// # Errors
    /// [`NegotiationError::WrongState`] while another offer is open; an unusable `local`.
    pub fn create_offer(
        &mut self,
        local: &LocalMedia,
    ) -> Result<SessionDescription, NegotiationError> {
        self.require(NegotiationState::Stable, "make an offer")?;
        let offered = offer_lines(local, &self.used_payload_types(), self.agreed())?;
        let mut media: Vec<_> = self.agreed.iter().flat_map(|a| &a.local.media).cloned().collect();
        for slot in &mut media {
            *slot = slot.refused();
        }
        let lines = self.slots(&media, offered.len());
        for (index, line) in lines.iter().zip(offered) {
            match media.get_mut(*index) {
                Some(slot) => *slot = line,
                None => media.push(line),
            }
        }
        let offer = self.describe(local.rtp.ip(), media);
        self.open = Open::Local { offer: offer.clone(), lines, local: Box::new(local.clone()) };
        Ok(offer)
    }

    /// Takes the answer to our offer. On an error the exchange is over and what was agreed on
    /// before stands.
    ///
    /// # Errors
    /// [`NegotiationError::WrongState`] without an open offer of ours; what is wrong with the
    /// answer.
    pub fn handle_answer(
        &mut self,
        answer: SessionDescription,
    ) -> Result<NegotiatedMedia, NegotiationError> {
        self.require(NegotiationState::LocalOffer, "take an answer")?;
        let Open::Local { offer, lines, local } = core::mem::replace(&mut self.open, Open::Nothing)
        else {
            return Err(self.wrong_state("take an answer"));
        };
        let same_lines = offer.media.len() == answer.media.len()
            && offer.media.iter().zip(&answer.media).all(|(o, a)| o.kind == a.kind);
        if !same_lines {
            return Err(NegotiationError::MediaMismatch);
        }
        let accepted = |index: &usize| answer.media.get(*index).is_some_and(|line| line.port != 0);
        let mut taken = lines.into_iter().filter(accepted);
        let index = taken.next().ok_or(NegotiationError::Refused)?;
        let pair = offer.media.get(index).zip(answer.media.get(index));
        let (sent, answered) = pair.ok_or(NegotiationError::MediaMismatch)?;
        let mut media = read_answer(&answer, index, answered, sent, &local, self.agreed())?;
        media.both_accepted = taken.next().is_some();
        media.keys_dropped =
            media.keys.is_none() && offer.media.iter().any(MediaDescription::has_keying);
        self.agreed = Some(Agreement { local: offer, remote: answer, media: media.clone() });
        Ok(media)
    }

    /// Takes the peer's offer. It stays open until [`create_answer`](Self::create_answer) or
    /// [`rollback`](Self::rollback); [`OfferSummary`](super::OfferSummary) says what is in it.
    ///
    /// # Errors
    /// [`NegotiationError::WrongState`] while another offer is open (glare: 491, RFC 3261 §14.2).
    pub fn handle_offer(&mut self, offer: SessionDescription) -> Result<(), NegotiationError> {
        self.require(NegotiationState::Stable, "take an offer")?;
        self.open = Open::Remote(offer);
        Ok(())
    }

    /// Answers the peer's offer: the same m= lines in the same order, one audio stream accepted,
    /// all others refused with port 0. Among several audio streams one that can be encrypted is
    /// taken first, and with the keying that `local` prefers. On an error the offer stays open, so that another `local`
    /// may be tried; [`rollback`](Self::rollback) ends it (488).
    ///
    /// # Errors
    /// [`NegotiationError::WrongState`] without an open offer of the peer's; why no stream can be
    /// accepted.
    pub fn create_answer(
        &mut self,
        local: &LocalMedia,
    ) -> Result<(SessionDescription, NegotiatedMedia), NegotiationError> {
        let Open::Remote(offer) = &self.open else {
            return Err(self.wrong_state("make an answer"));
        };
        let acceptance = self.accept(offer, local)?;
        let mut media: Vec<_> = offer.media.iter().map(MediaDescription::refused).collect();
        if let Some(slot) = media.get_mut(acceptance.media.index) {
            *slot = acceptance.line;
        }
        let remote = offer.clone();
        let answer = self.describe(local.rtp.ip(), media);
        let agreed = acceptance.media;
        self.agreed = Some(Agreement { local: answer.clone(), remote, media: agreed.clone() });
        self.open = Open::Nothing;
        Ok((answer, agreed))
    }

    /// The best line of the peer's offer.
    fn accept(
        &self,
        offer: &SessionDescription,
        local: &LocalMedia,
    ) -> Result<Acceptance, NegotiationError> {
        let current = self.agreed.as_ref().map(|agreement| agreement.media.index);
        let mut chosen: Option<(u8, Acceptance)> = None;
        let mut error = NegotiationError::NoAudio;
        for index in self.audio_lines(offer) {
            let Some(line) = offer.media.get(index) else { continue };
            match accept_line(offer, index, line, local, self.agreed()) {
                Ok(acceptance) => {
                    let rank = match &acceptance.media.keys {
                        Some(_) if current == Some(index) => 0,
                        Some(keys) if keys.dtls().is_some() == local.security.prefer_dtls => 1,
                        Some(_) => 2,
                        None => 3,
                    };
                    if chosen.as_ref().is_none_or(|(best, _)| rank < *best) {
                        chosen = Some((rank, acceptance));
                    }
                }
                Err(NegotiationError::NoAudio) => {}
                Err(e) => error = e,
            }
        }
        chosen.map(|(_, acceptance)| acceptance).ok_or(error)
    }

    /// Forgets the open offer, ours or the peer's: the request that carried it failed. What was
    /// agreed on before stands (RFC 3261 §14.1).
    pub fn rollback(&mut self) {
        self.open = Open::Nothing;
    }

    /// The audio lines of an offer: the stream in use first, so that a re-offer keeps it.
    fn audio_lines(&self, offer: &SessionDescription) -> Vec<usize> {
        let current = self.agreed.as_ref().map(|agreement| agreement.media.index);
        let mut lines: Vec<usize> = (0..offer.media.len().min(MAX_MEDIA))
            .filter(|i| offer.media.get(*i).is_some_and(|m| m.kind == MediaKind::Audio))
            .collect();
        lines.sort_by_key(|index| Some(*index) != current);
        lines
    }

    /// Where `count` lines of an offer go among the refused ones of before, the preferred one
    /// first. The last one takes the place of the stream in use, another an ended audio line or a
    /// new one (RFC 3264 §8.1); of two new ones the preferred one comes first.
    fn slots(&self, media: &[MediaDescription], count: usize) -> Vec<usize> {
        let Some(current) = self.agreed.as_ref().map(|agreement| agreement.media.index) else {
            return (0..count).collect();
        };
        let mut slots = Vec::with_capacity(count);
        if count > 1 {
            let ended = |audio: bool| {
                let same = |m: &MediaDescription| !audio || m.kind == MediaKind::Audio;
                let found = media.iter().enumerate().find(|(i, m)| *i != current && same(m));
                found.map(|(index, _)| index)
            };
            let new = (media.len() < MAX_MEDIA).then_some(media.len());
            slots.extend(ended(true).or(new).or_else(|| ended(false)));
        }
        slots.push(current);
        slots
    }

    fn used_payload_types(&self) -> Vec<CodecDescription> {
        let Some(agreement) = &self.agreed else { return Vec::new() };
        let index = agreement.media.index;
        [&agreement.local, &agreement.remote]
            .into_iter()
            .filter_map(|description| description.media.get(index))
            .flat_map(|line| line.codecs.iter().cloned())
            .collect()
    }

    /// Our description with these m= lines; its version is a new one only if it says something
    /// new (RFC 3264 §8).
    fn describe(&mut self, address: IpAddr, media: Vec<MediaDescription>) -> SessionDescription {
        let mut description = SessionDescription {
            origin: Origin {
                username: "-".into(),
                session_id: self.session_id.to_string(),
                version: 1,
                address: address.into(),
            },
            connection: Some(address.into()),
            media,
            ignored: 0,
        };
        if let Some(last) = &self.last_sent {
            // The o= line names the session: its address stays when the media's moves.
            description.origin.address = last.origin.address.clone();
            let changed = !description.same_but_version(last);
            description.origin.version = last.origin.version.saturating_add(u64::from(changed));
        }
        self.last_sent = Some(description.clone());
        description
    }

    fn require(
        &self,
        state: NegotiationState,
        attempted: &'static str,
    ) -> Result<(), NegotiationError> {
        if self.state() == state { Ok(()) } else { Err(self.wrong_state(attempted)) }
    }

    fn wrong_state(&self, attempted: &'static str) -> NegotiationError {
        NegotiationError::WrongState { state: self.state(), attempted }
    }
}

impl NegotiatedMedia {
    /// True if the profile is one that never carries RTP in the clear.
    pub const fn profile_is_secure(&self) -> bool {
        self.profile.is_secure()
    }

    /// True if the peer receives nothing: the call is held by it.
    pub const fn is_held_by_peer(&self) -> bool {
        !self.remote_direction.receives()
    }
}
