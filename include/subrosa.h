/*
 * subrosa: a secure-call engine. Generated from src/ffi by cbindgen; do not edit.
 *
 * Conventions: polling, no callbacks but a logger. Handles are opaque; subrosa_status is 0 for success;
 * results come through pointers that stand last and are written only on success; _free takes
 * NULL. Strings are pointer and length, UTF-8, not NUL-terminated. Structs with a size field:
 * set it to sizeof first. One thread at a time per handle, a second one gets SUBROSA_ERR_BUSY.
 * A panic is caught: SUBROSA_ERR_PANIC, and the handle can only be freed. Times are
 * microseconds on a monotonic clock of the host's choice.
 *
 * A handle is dead once it was freed: giving it again is what the library cannot notice. Ids can
 * be given for ever: one whose object is gone gives SUBROSA_ERR_UNKNOWN_ID and never names
 * another one. They are the engine's that gave them: a second engine may have the same.
 *
 * After every input and every command, call subrosa_engine_poll_output and do what it says,
 * until it gives SUBROSA_OUTPUT_TIMEOUT. examples/c/desk_phone.c is a whole phone.
 *
 * Or let the library do all that: subrosa_phone_ functions run an engine, its sockets and its
 * audio on a thread of their own (tests/c/two_phones.c). They are declared always; a library
 * built without the feature `driver` does not have them, and one without `audio-device` has no
 * subrosa_audio_device_ and subrosa_device_list_ functions, and one without `platform-roots` no
 * subrosa_config_set_trust_platform, and one without `provisioning` no subrosa_engine_provision
 * and subrosa_phone_provision: a program that needs them does not link then.
 */

#ifndef SUBROSA_H
#define SUBROSA_H

#include <stddef.h>
#include <stdint.h>

/**
 * No TLS, no SRTP.
 */
#define SUBROSA_POLICY_OFF 0

/**
 * TLS and SRTP wherever both ends can; otherwise the call completes as usual.
 */
#define SUBROSA_POLICY_PREFERRED 1

/**
 * TLS and SRTP, or no call.
 */
#define SUBROSA_POLICY_REQUIRED 2

/**
 * No transport yet, or whichever policy and DNS choose.
 */
#define SUBROSA_TRANSPORT_ANY 0

/**
 * UDP.
 */
#define SUBROSA_TRANSPORT_UDP 1

/**
 * TCP.
 */
#define SUBROSA_TRANSPORT_TCP 2

/**
 * TLS.
 */
#define SUBROSA_TRANSPORT_TLS 3

/**
 * No codec (yet).
 */
#define SUBROSA_CODEC_NONE 0

/**
 * G.722, 16 kHz.
 */
#define SUBROSA_CODEC_G722 1

/**
 * G.711 mu-law.
 */
#define SUBROSA_CODEC_PCMU 2

/**
 * G.711 A-law.
 */
#define SUBROSA_CODEC_PCMA 3

/**
 * Opus, in builds with the feature `opus` or `libopus`.
 */
#define SUBROSA_CODEC_OPUS 4

/**
 * L16 at 8 kHz: samples of 16 bits as they are. None of the three is offered unless it is named.
 */
#define SUBROSA_CODEC_L16_NARROWBAND 5

/**
 * L16 at 16 kHz.
 */
#define SUBROSA_CODEC_L16_WIDEBAND 6

/**
 * L16 at 48 kHz, in packets of 10 ms.
 */
#define SUBROSA_CODEC_L16_FULLBAND 7

/**
 * Not registered, and not trying.
 */
#define SUBROSA_ACCOUNT_UNREGISTERED 0

/**
 * Registering.
 */
#define SUBROSA_ACCOUNT_REGISTERING 1

/**
 * Calls reach the account.
 */
#define SUBROSA_ACCOUNT_REGISTERED 2

/**
 * The last attempt failed.
 */
#define SUBROSA_ACCOUNT_FAILED 3

/**
 * Nothing was set.
 */
#define SUBROSA_POLICY_SOURCE_DEFAULT 0

/**
 * The domain's policy.
 */
#define SUBROSA_POLICY_SOURCE_DOMAIN 1

/**
 * The account's own, stricter than its domain's.
 */
#define SUBROSA_POLICY_SOURCE_ACCOUNT 2

/**
 * The call's own, stricter than its account's.
 */
#define SUBROSA_POLICY_SOURCE_CALL 3

/**
 * Nothing was stopped.
 */
#define SUBROSA_BREAKER_NONE 0

/**
 * The far end reported before, and has not reported on what is sent for 15 s.
 */
#define SUBROSA_BREAKER_RTCP_TIMEOUT 1

/**
 * The far end reports again and again that nothing of what is sent arrives.
 */
#define SUBROSA_BREAKER_MEDIA_TIMEOUT 2

/**
 * More is sent than ten times what TCP would send over this path.
 */
#define SUBROSA_BREAKER_CONGESTION 3

/**
 * Something that this version of the C interface does not know.
 */
#define SUBROSA_BREAKER_OTHER 4

/**
 * We call; nothing heard yet.
 */
#define SUBROSA_CALL_DIALING 1

/**
 * We call; the far end rings.
 */
#define SUBROSA_CALL_RINGING 2

/**
 * We are called and have not answered.
 */
#define SUBROSA_CALL_INCOMING 3

/**
 * Talking.
 */
#define SUBROSA_CALL_ESTABLISHED 4

/**
 * Hanging up.
 */
#define SUBROSA_CALL_ENDING 5

/**
 * Over.
 */
#define SUBROSA_CALL_ENDED 6

/**
 * RTP/AVP with keys beside (RFC 8643): one offer that every far end understands.
 */
#define SUBROSA_MEDIA_OFFER_OPPORTUNISTIC 0

/**
 * A profile that demands SRTP first; plain RTP only after a refusal of that.
 */
#define SUBROSA_MEDIA_OFFER_SECURE_FIRST 1

/**
 * Two media lines, a secure one and a plain one.
 */
#define SUBROSA_MEDIA_OFFER_DUAL 2

/**
 * How many codecs subrosa_call_options can name.
 */
#define SUBROSA_MAX_CODECS 8

/**
 * A microphone.
 */
#define SUBROSA_DEVICE_INPUT 1

/**
 * A loudspeaker.
 */
#define SUBROSA_DEVICE_OUTPUT 2

/**
 * Nothing happened.
 */
#define SUBROSA_DEVICE_EVENT_NONE 0

/**
 * The device in use is gone: it was unplugged, broke, or stalled. `replacement` is used instead;
 * if that is empty, there is silence.
 */
#define SUBROSA_DEVICE_EVENT_LOST 1

/**
 * There was silence, and now the default device is used: `id`; or the default one was in use, and
 * the system made another the default one.
 */
#define SUBROSA_DEVICE_EVENT_REPLACED 2

/**
 * The chosen device is back and in use.
 */
#define SUBROSA_DEVICE_EVENT_RESTORED 3

/**
 * Devices were connected or disconnected: ask for the lists again to show them.
 */
#define SUBROSA_DEVICE_EVENT_LIST_CHANGED 4

/**
 * NAPTR records.
 */
#define SUBROSA_DNS_NAPTR 1

/**
 * SRV records.
 */
#define SUBROSA_DNS_SRV 2

/**
 * A records.
 */
#define SUBROSA_DNS_A 3

/**
 * AAAA records.
 */
#define SUBROSA_DNS_AAAA 4

/**
 * There are records: those given.
 */
#define SUBROSA_DNS_RECORDS 0

/**
 * There are no such records, or no such name.
 */
#define SUBROSA_DNS_NOT_FOUND 1

/**
 * No server answered.
 */
#define SUBROSA_DNS_FAILED 2

/**
 * Not about media that is missing.
 */
#define SUBROSA_NO_MEDIA_NONE 0

/**
 * Not one datagram came: a firewall, a NAT, or a far end that does not send.
 */
#define SUBROSA_NO_MEDIA_SILENCE 1

/**
 * Packets came that do not authenticate: the keys differ.
 */
#define SUBROSA_NO_MEDIA_WRONG_KEYS 2

/**
 * Packets came in clear where SRTP was agreed.
 */
#define SUBROSA_NO_MEDIA_PLAIN 3

/**
 * Packets came from another address than the signalled one.
 */
#define SUBROSA_NO_MEDIA_WRONG_SOURCE 4

/**
 * Packets came with payload types that were not negotiated.
 */
#define SUBROSA_NO_MEDIA_WRONG_PAYLOAD_TYPE 5

/**
 * Packets came that are no RTP.
 */
#define SUBROSA_NO_MEDIA_MALFORMED 6

/**
 * Something that this version of the C interface does not know.
 */
#define SUBROSA_NO_MEDIA_OTHER 7

/**
 * The call goes on.
 */
#define SUBROSA_END_NONE 0

/**
 * We hung up.
 */
#define SUBROSA_END_LOCAL_HANG_UP 1

/**
 * The far end hung up.
 */
#define SUBROSA_END_REMOTE_HANG_UP 2

/**
 * We gave up before it was answered.
 */
#define SUBROSA_END_CANCELLED 3

/**
 * The caller gave up before we answered.
 */
#define SUBROSA_END_REMOTE_CANCELLED 4

/**
 * We rejected it, with `sip_status`.
 */
#define SUBROSA_END_REJECTED 5

/**
 * The far end refused, with `sip_status`.
 */
#define SUBROSA_END_REFUSED 6

/**
 * Nobody answered in time.
 */
#define SUBROSA_END_NO_ANSWER 7

/**
 * It failed: see `failure`.
 */
#define SUBROSA_END_FAILED 8

/**
 * Nothing failed.
 */
#define SUBROSA_FAILURE_NONE 0

/**
 * The server's name could not be resolved.
 */
#define SUBROSA_FAILURE_NAME_NOT_FOUND 1

/**
 * The server could not be reached.
 */
#define SUBROSA_FAILURE_UNREACHABLE 2

/**
 * No answer in time.
 */
#define SUBROSA_FAILURE_TIMEOUT 3

/**
 * The certificate did not verify.
 */
#define SUBROSA_FAILURE_CERTIFICATE 4

/**
 * The TLS handshake failed for another reason.
 */
#define SUBROSA_FAILURE_TLS 5

/**
 * User name or password refused.
 */
#define SUBROSA_FAILURE_CREDENTIALS 6

/**
 * Credentials were asked for that the account does not have.
 */
#define SUBROSA_FAILURE_NO_CREDENTIALS 7

/**
 * A final response: `sip_status`.
 */
#define SUBROSA_FAILURE_STATUS 8

/**
 * No common media.
 */
#define SUBROSA_FAILURE_NEGOTIATION 9

/**
 * The security policy forbids it.
 */
#define SUBROSA_FAILURE_POLICY 10

/**
 * No media port could be opened.
 */
#define SUBROSA_FAILURE_NO_MEDIA_PORT 11

/**
 * The connection was lost.
 */
#define SUBROSA_FAILURE_CONNECTION_LOST 12

/**
 * Something that this version of the C interface does not know.
 */
#define SUBROSA_FAILURE_OTHER 13

/**
 * A media session that was taken could not be changed.
 */
#define SUBROSA_FAILURE_MEDIA_UPDATE 15

/**
 * The keys of the media could not be agreed by DTLS.
 */
#define SUBROSA_FAILURE_KEYING 14

/**
 * A challenge came from a realm that the account does not belong to.
 */
#define SUBROSA_FAILURE_FOREIGN_REALM 16

/**
 * The far end's DTLS certificate or ciphers are not supported: elliptic curves only, not RSA.
 */
#define SUBROSA_FAILURE_KEYING_UNSUPPORTED 17

/**
 * Something that this version of the C interface does not know; `text` describes it.
 */
#define SUBROSA_EVENT_OTHER 0

/**
 * `account` is registered over `transport`, for `duration_us`.
 */
#define SUBROSA_EVENT_REGISTERED 1

/**
 * `account` is not registered any more, as asked.
 */
#define SUBROSA_EVENT_UNREGISTERED 2

/**
 * Registering `account` failed: `failure`, `text`; again in `duration_us`, if that is not 0.
 */
#define SUBROSA_EVENT_REGISTRATION_FAILED 3

/**
 * `call` comes in for `account` (0 if for none), from `from` and `display_name`.
 */
#define SUBROSA_EVENT_INCOMING_CALL 4

/**
 * The far end of `call` answered provisionally: `sip_status`; `early_media`.
 */
#define SUBROSA_EVENT_CALL_PROGRESS 5

/**
 * `call` is answered.
 */
#define SUBROSA_EVENT_CALL_ESTABLISHED 6

/**
 * Hold or resume took effect: `local_hold`, `remote_hold`.
 */
#define SUBROSA_EVENT_CALL_MEDIA_CHANGED 7

/**
 * What is known of the security of `call` changed: `padlock`, and subrosa_call_security. It comes
 * before any audio is sent or heard under it.
 */
#define SUBROSA_EVENT_SECURITY_CHANGED 8

/**
 * The far end pressed `digit`.
 */
#define SUBROSA_EVENT_DTMF_RECEIVED 9

/**
 * `call` is over: `end_reason`, `sip_status`, `failure`, `text`.
 */
#define SUBROSA_EVENT_CALL_ENDED 10

/**
 * A server's certificate did not verify: `from` is the domain, `text` the problem.
 */
#define SUBROSA_EVENT_CERTIFICATE_REJECTED 11

/**
 * A listener or socket is ready: `transport`, `addr`.
 */
#define SUBROSA_EVENT_LISTENING 12

/**
 * A listener or socket could not be opened: `transport`.
 */
#define SUBROSA_EVENT_LISTEN_FAILED 13

/**
 * The signalling of `account` goes over `transport` from now on; `fallback`.
 */
#define SUBROSA_EVENT_TRANSPORT_CHANGED 14

/**
 * Nothing usable has been heard on `call` for ten seconds: `no_media` is what is likely wrong.
 */
#define SUBROSA_EVENT_NO_MEDIA 15

/**
 * Something is heard on `call` again.
 */
#define SUBROSA_EVENT_MEDIA_RESUMED 16

/**
 * The media of `call` is protected worse than that of earlier calls with this peer:
 * `level_before`, `level_now`. Told before audio flows.
 */
#define SUBROSA_EVENT_SECURITY_DOWNGRADE 17

/**
 * The peer of `call` shows another DTLS certificate than the one that was confirmed, or, if none
 * was, than in the last call. Told before audio flows.
 */
#define SUBROSA_EVENT_PEER_IDENTITY_CHANGED 18

/**
 * Somebody called and was refused before the phone could ring: account, from, display_name,
 * failure, text.
 */
#define SUBROSA_EVENT_INCOMING_REFUSED 19

/**
 * The media session that was taken from `call` has other sockets from now on, `rtp_socket` and
 * `rtcp_socket`, because the host is on another network. The old ones were closed. Until it comes
 * the session has no socket: do not poll it for packets.
 */
#define SUBROSA_EVENT_MEDIA_SOCKETS_CHANGED 20

/**
 * The media of `call` is not sent any more, because it harms the network: `breaker`.
 */
#define SUBROSA_EVENT_CIRCUIT_BREAKER 21

/**
 * The program, which encodes the audio of `call` by itself, is to encode otherwise:
 * subrosa_call_encoding.
 */
#define SUBROSA_EVENT_ENCODING_CHANGED 22

/**
 * The call's media is sent again after SUBROSA_EVENT_CIRCUIT_BREAKER: the far end is back.
 */
#define SUBROSA_EVENT_SENDING_RESUMED 23

/**
 * No payload of a frame is longer, in bytes.
 */
#define SUBROSA_MAX_PAYLOAD 1280

/**
 * Nothing is to be heard now: ask again within a packet's time.
 */
#define SUBROSA_FRAME_NONE 0

/**
 * What follows is of another codec, payload type or source than before, or it is the first: a new
 * decoder. It lasts no time, ask again at once.
 */
#define SUBROSA_FRAME_NEW_CODEC 1

/**
 * A packet came: decode it.
 */
#define SUBROSA_FRAME_AUDIO 2

/**
 * The packet is missing: conceal it. If the one after it has come, that one's payload is here, for
 * decoders that find the missing audio in it; it comes again as SUBROSA_FRAME_AUDIO.
 */
#define SUBROSA_FRAME_MISSING 3

/**
 * Nothing is missing, and nothing is said: comfort noise. Where the far end says what it is like, that
 * is the payload (RFC 3389).
 */
#define SUBROSA_FRAME_COMFORT_NOISE 4

/**
 * Bytes of a safety number's code to scan.
 */
#define SUBROSA_SAFETY_NUMBER_SCAN_LEN 65

/**
 * DTLS 1.3 where the peer has it, else 1.2.
 */
#define SUBROSA_DTLS_ALL 0

/**
 * DTLS 1.2 only.
 */
#define SUBROSA_DTLS_ONLY_12 1

/**
 * DTLS 1.3 only.
 */
#define SUBROSA_DTLS_ONLY_13 2

/**
 * How many steps a ladder has at most.
 */
#define SUBROSA_MAX_LADDER_STEPS 16

/**
 * It is being tried.
 */
#define SUBROSA_STEP_TRYING 0

/**
 * It is used.
 */
#define SUBROSA_STEP_UP 1

/**
 * The connection was refused or broken off.
 */
#define SUBROSA_STEP_REFUSED 2

/**
 * No connection in time.
 */
#define SUBROSA_STEP_TIMED_OUT 3

/**
 * No TLS there, or none that we speak.
 */
#define SUBROSA_STEP_TLS 4

/**
 * A certificate that does not verify.
 */
#define SUBROSA_STEP_CERTIFICATE 5

/**
 * It took requests and did not serve them: no answer in time, or 503.
 */
#define SUBROSA_STEP_UNSERVED 6

/**
 * Something that this version of the C interface does not know.
 */
#define SUBROSA_STEP_OTHER 7

/**
 * Nothing is logged.
 */
#define SUBROSA_LOG_OFF 0

/**
 * What somebody has to look after.
 */
#define SUBROSA_LOG_ERROR 1

/**
 * What did not work out.
 */
#define SUBROSA_LOG_WARN 2

/**
 * What an operator wants to know.
 */
#define SUBROSA_LOG_INFO 3

/**
 * What an engineer wants to know.
 */
#define SUBROSA_LOG_DEBUG 4

/**
 * The socket of RTP, and of RTCP where both share it: the first of subrosa_call_media_sockets.
 */
#define SUBROSA_CHANNEL_RTP 1

/**
 * The socket of RTCP: the second one.
 */
#define SUBROSA_CHANNEL_RTCP 2

/**
 * No socket: there is nothing to send.
 */
#define SUBROSA_CHANNEL_NONE 0

/**
 * The room that subrosa_media_poll_transmit needs.
 */
#define SUBROSA_MAX_TRANSMIT 1500

/**
 * Nothing happened.
 */
#define SUBROSA_MEDIA_EVENT_NONE 0

/**
 * The first valid packet came: `ssrc`, `from`.
 */
#define SUBROSA_MEDIA_EVENT_FIRST_PACKET 1

/**
 * The far end pressed `digit`.
 */
#define SUBROSA_MEDIA_EVENT_DTMF 2

/**
 * The far end's source changed: `ssrc_before`, `ssrc`.
 */
#define SUBROSA_MEDIA_EVENT_SSRC_CHANGED 3

/**
 * The far end used our source's number: ours is `ssrc` from now on.
 */
#define SUBROSA_MEDIA_EVENT_SSRC_COLLISION 4

/**
 * Media comes from and goes to another address: before `from`, now `to`.
 */
#define SUBROSA_MEDIA_EVENT_SOURCE_CHANGED 5

/**
 * The far end's RTCP said goodbye.
 */
#define SUBROSA_MEDIA_EVENT_REMOTE_BYE 6

/**
 * Nothing usable has been heard for ten seconds: `no_media`.
 */
#define SUBROSA_MEDIA_EVENT_NO_MEDIA 7

/**
 * Something is heard again.
 */
#define SUBROSA_MEDIA_EVENT_MEDIA_RESUMED 8

/**
 * The SRTP key is used up: nothing is sent until an update brings another.
 */
#define SUBROSA_MEDIA_EVENT_SEND_BLOCKED 9

/**
 * Something that this version of the C interface does not know.
 */
#define SUBROSA_MEDIA_EVENT_OTHER 10

/**
 * Nothing is sent any more, because it harms the network: `breaker`.
 */
#define SUBROSA_MEDIA_EVENT_CIRCUIT_BREAKER 11

/**
 * The program, which encodes by itself, is to encode otherwise: subrosa_media_encoding.
 */
#define SUBROSA_MEDIA_EVENT_ENCODING_CHANGED 12

/**
 * Media is sent again after SUBROSA_MEDIA_EVENT_CIRCUIT_BREAKER: the peer is back.
 */
#define SUBROSA_MEDIA_EVENT_SENDING_RESUMED 13

/**
 * None of the others: drop it.
 */
#define SUBROSA_PACKET_UNKNOWN 0

/**
 * STUN.
 */
#define SUBROSA_PACKET_STUN 1

/**
 * ZRTP.
 */
#define SUBROSA_PACKET_ZRTP 2

/**
 * DTLS: for the engine.
 */
#define SUBROSA_PACKET_DTLS 3

/**
 * A TURN channel.
 */
#define SUBROSA_PACKET_TURN_CHANNEL 4

/**
 * RTP or SRTP: for the media session.
 */
#define SUBROSA_PACKET_RTP 5

/**
 * RTCP or SRTCP: for the media session.
 */
#define SUBROSA_PACKET_RTCP 6

/**
 * Nothing more to do until `at_us` (if `has_at`), or until something comes in. Always the last.
 */
#define SUBROSA_OUTPUT_TIMEOUT 0

/**
 * Send `data` from socket `id` to `addr`.
 */
#define SUBROSA_OUTPUT_DATAGRAM 1

/**
 * Write `data` to stream `id`, all of it and in order.
 */
#define SUBROSA_OUTPUT_STREAM_DATA 2

/**
 * Open a TCP connection to `addr`; it is stream `id`.
 */
#define SUBROSA_OUTPUT_CONNECT 3

/**
 * Close stream `id` once what was written is sent.
 */
#define SUBROSA_OUTPUT_CLOSE_STREAM 4

/**
 * Listen for TCP connections at `addr`; it is listener `id`.
 */
#define SUBROSA_OUTPUT_LISTEN 5

/**
 * Bind a UDP socket to `addr`; it is socket `id`.
 */
#define SUBROSA_OUTPUT_BIND_UDP 6

/**
 * Close UDP socket `id`.
 */
#define SUBROSA_OUTPUT_CLOSE_UDP 7

/**
 * Ask the DNS for `name`, record kind `dns_kind`; it is query `id`.
 */
#define SUBROSA_OUTPUT_RESOLVE 8

/**
 * `event` tells the application something.
 */
#define SUBROSA_OUTPUT_EVENT 9

/**
 * The buffer cannot hold the next output: poll again with at least `needed` bytes.
 */
#define SUBROSA_OUTPUT_BUFFER_TOO_SMALL 10

/**
 * Something that this version of the C interface does not know: go on polling.
 */
#define SUBROSA_OUTPUT_OTHER 11

/**
 * Give `update` to the media session that was taken from call `id`: subrosa_media_handle_update,
 * each of them and in order. The update is the caller's from now on, to be freed with
 * subrosa_media_update_free. One that is never applied is bounded harm: the call's security is
 * shown as the weaker of before and after, its sockets stay open for two seconds after its end,
 * and if a later update is applied without it, the session is silent and the call ends.
 */
#define SUBROSA_OUTPUT_MEDIA 12

/**
 * Not known.
 */
#define SUBROSA_LEVEL_NONE -1

/**
 * RTP in the clear.
 */
#define SUBROSA_LEVEL_PLAIN 0

/**
 * SRTP with keys from DTLS with whoever answered.
 */
#define SUBROSA_LEVEL_ENCRYPTED_UNAUTHENTICATED 1

/**
 * SRTP, and signalling under TLS whose peer was verified.
 */
#define SUBROSA_LEVEL_ENCRYPTED_TO_PROVIDER 2

/**
 * SRTP with keys from DTLS with a peer that two people confirmed.
 */
#define SUBROSA_LEVEL_VERIFIED_END_TO_END 3

/**
 * Echo cancellation, with suppression of what it leaves.
 */
#define SUBROSA_PROCESSING_ECHO_CANCELLATION 1

/**
 * Noise suppression.
 */
#define SUBROSA_PROCESSING_NOISE_SUPPRESSION 2

/**
 * Automatic gain, with a limiter.
 */
#define SUBROSA_PROCESSING_GAIN_CONTROL 4

/**
 * A high-pass filter against mains hum and rumble.
 */
#define SUBROSA_PROCESSING_HIGH_PASS 8

/**
 * Voice activity detection.
 */
#define SUBROSA_PROCESSING_VOICE_ACTIVITY 16

/**
 * All of them: for a microphone and a loudspeaker without processing of their own.
 */
#define SUBROSA_PROCESSING_VOICE 31

/**
 * None of them.
 */
#define SUBROSA_PROCESSING_OFF 0

/**
 * In subrosa_call_options alone: what the configuration says.
 */
#define SUBROSA_PROCESSING_DEFAULT 2147483648

/**
 * A document is TOML.
 */
#define SUBROSA_FORMAT_TOML 0

/**
 * A document is JSON.
 */
#define SUBROSA_FORMAT_JSON 1

/**
 * Room for counters by reason; those behind the last reason are 0.
 */
#define SUBROSA_MAX_REASONS 48

/**
 * Reasons of subrosa_engine_stats.malformed_by.
 */
#define SUBROSA_REASON_SIP 0

/**
 * Reasons of subrosa_engine_stats.sdp_refused_by.
 */
#define SUBROSA_REASON_SDP 1

/**
 * Reasons of subrosa_media_stats.refused_by.
 */
#define SUBROSA_REASON_SRTP 2

/**
 * Reasons of subrosa_media_stats.malformed_rtp_by.
 */
#define SUBROSA_REASON_RTP 3

/**
 * Reasons of subrosa_media_stats.malformed_rtcp_by.
 */
#define SUBROSA_REASON_RTCP 4

/**
 * Reasons of subrosa_media_stats.red_refused_by.
 */
#define SUBROSA_REASON_RED 5

/**
 * Something travels in the clear.
 */
#define SUBROSA_PADLOCK_NONE 0

/**
 * Signalling is encrypted, the voice is not (yet).
 */
#define SUBROSA_PADLOCK_SIGNALLING_ONLY 1

/**
 * Signalling and voice are encrypted as far as the provider.
 */
#define SUBROSA_PADLOCK_ENCRYPTED_TO_PROVIDER 2

/**
 * Signalling as far as the provider, the voice to the phone whose safety number was confirmed.
 */
#define SUBROSA_PADLOCK_VERIFIED_END_TO_END 3

/**
 * No keys: plain RTP, or no media yet.
 */
#define SUBROSA_KEYING_NONE 0

/**
 * In the session description: as secret as the signalling.
 */
#define SUBROSA_KEYING_SDES 1

/**
 * In a way that this version of the C interface does not know.
 */
#define SUBROSA_KEYING_OTHER 2

/**
 * By a DTLS handshake with the peer whose fingerprint came over verified signalling.
 */
#define SUBROSA_KEYING_DTLS 3

/**
 * By a DTLS handshake with whoever answered: whoever could change the signalling could be in
 * the middle.
 */
#define SUBROSA_KEYING_DTLS_UNAUTHENTICATED 4

/**
 * No revocation lists were given.
 */
#define SUBROSA_REVOCATION_NOT_CHECKED 0

/**
 * There are lists, but none of the certificate's issuer.
 */
#define SUBROSA_REVOCATION_UNKNOWN 1

/**
 * A list of its issuer does not name it.
 */
#define SUBROSA_REVOCATION_NOT_REVOKED 2

/**
 * Success.
 */
#define SUBROSA_OK 0

/**
 * A pointer that must not be NULL is NULL.
 */
#define SUBROSA_ERR_NULL -1

/**
 * An argument is out of its range; subrosa_engine_last_error tells which.
 */
#define SUBROSA_ERR_INVALID -2

/**
 * Another thread is using this handle now.
 */
#define SUBROSA_ERR_BUSY -3

/**
 * A bug in the library; this handle cannot be used any more, only freed.
 */
#define SUBROSA_ERR_PANIC -4

/**
 * No such call, account, stream, socket, listener or peer (any more).
 */
#define SUBROSA_ERR_UNKNOWN_ID -5

/**
 * Not in this state.
 */
#define SUBROSA_ERR_WRONG_STATE -6

/**
 * A string is not UTF-8.
 */
#define SUBROSA_ERR_UTF8 -7

/**
 * Not a SIP or SIPS URI, or not one that fits here.
 */
#define SUBROSA_ERR_URI -8

/**
 * The security policy in force forbids it.
 */
#define SUBROSA_ERR_POLICY -9

/**
 * The call has no media now.
 */
#define SUBROSA_ERR_NO_MEDIA -10

/**
 * No room for another one.
 */
#define SUBROSA_ERR_LIMIT -11

/**
 * The configuration cannot be used.
 */
#define SUBROSA_ERR_CONFIG -12

/**
 * A certificate or private key cannot be used.
 */
#define SUBROSA_ERR_CERTIFICATE -13

/**
 * The struct's size field is too small for any version of this library, or not set.
 */
#define SUBROSA_ERR_STRUCT_SIZE -14

/**
 * The far end does not support it.
 */
#define SUBROSA_ERR_NOT_SUPPORTED -15

/**
 * The phone was stopped: make another.
 */
#define SUBROSA_ERR_STOPPED -16

/**
 * The operating system gave no thread or no poll, or a device cannot be used.
 */
#define SUBROSA_ERR_SYSTEM -17

/**
 * A file cannot be read, written or played.
 */
#define SUBROSA_ERR_FILE -18

/**
 * The safety numbers differ: somebody may be between the two phones.
 */
#define SUBROSA_ERR_MISMATCH -19

/**
 * The call's media was taken with subrosa_engine_take_media: use its session.
 */
#define SUBROSA_ERR_MEDIA_TAKEN -20

/**
 * The call exchanges audio in the other form: encoded frames or PCM.
 */
#define SUBROSA_ERR_AUDIO_MODE -21

/**
 * The frame is not of the codec that was agreed on.
 */
#define SUBROSA_ERR_CODEC -22

/**
 * Version of the binary interface; it changes when a program must be compiled anew.
 */
#define SUBROSA_ABI_VERSION 1

/**
 * TLS runs on ring, with the engine's randomness.
 */
#define SUBROSA_TLS_PROVIDER_RING 0

/**
 * TLS runs on AWS-LC, with its own randomness: hybrid post-quantum key exchange. A library
 * without the feature `aws-lc` does not have it.
 */
#define SUBROSA_TLS_PROVIDER_AWS_LC 1

/**
 * Room that subrosa_engine_poll_key_log needs.
 */
#define SUBROSA_KEY_LOG_LINE 512

/**
 * No tone.
 */
#define SUBROSA_TONE_NONE 0

/**
 * Dial now.
 */
#define SUBROSA_TONE_DIAL 1

/**
 * The far end rings.
 */
#define SUBROSA_TONE_RINGBACK 2

/**
 * The far end is busy.
 */
#define SUBROSA_TONE_BUSY 3

/**
 * The call cannot be carried: congestion, reorder.
 */
#define SUBROSA_TONE_CONGESTION 4

/**
 * Somebody else calls meanwhile.
 */
#define SUBROSA_TONE_CALL_WAITING 5

/**
 * The number cannot be reached.
 */
#define SUBROSA_TONE_SPECIAL_INFORMATION 6

/**
 * The message came to us.
 */
#define SUBROSA_SIP_RECEIVED 0

/**
 * We sent the message.
 */
#define SUBROSA_SIP_SENT 1

/**
 * An account under construction, freed by who made it.
 */
typedef struct subrosa_account_config subrosa_account_config;

/**
 * A microphone and a loudspeaker, running at a sample rate until they are freed.
 */
typedef struct subrosa_audio_device subrosa_audio_device;

/**
 * A bounded store of samples between a call and a thread of the program. What does not fit is
 * dropped, what is missing is silence; both are counted.
 */
typedef struct subrosa_audio_ring subrosa_audio_ring;

/**
 * The ends of a call's audio, before it is given to a call.
 */
typedef struct subrosa_call_audio subrosa_call_audio;

/**
 * A configuration under construction. It makes one engine, and is freed by who made it.
 */
typedef struct subrosa_config subrosa_config;

/**
 * The microphones or loudspeakers of the system, as they were when it was asked.
 */
typedef struct subrosa_device_list subrosa_device_list;

/**
 * The certificate and private key of a phone's DTLS handshakes, freed by who made it.
 */
typedef struct subrosa_dtls_identity subrosa_dtls_identity;

/**
 * Finds DTMF digits in sound.
 */
typedef struct subrosa_dtmf_detector subrosa_dtmf_detector;

/**
 * A secure-call engine. All times given to it are microseconds on one monotonic clock of the
 * host's choice.
 */
typedef struct subrosa_engine subrosa_engine;

/**
 * A call's media session that was taken with subrosa_engine_take_media. It is used by one thread
 * at a time, which need not be the engine's; it may outlive the call and the engine.
 */
typedef struct subrosa_media subrosa_media;

/**
 * What a media session tells its engine: of subrosa_media_get_feedback, for
 * subrosa_engine_handle_media, on any thread.
 */
typedef struct subrosa_media_feedback subrosa_media_feedback;

/**
 * A change for a media session that was taken: comes with SUBROSA_OUTPUT_MEDIA, goes to
 * subrosa_media_handle_update, on any thread. It may hold keys: freeing it wipes them.
 */
typedef struct subrosa_media_update subrosa_media_update;

/**
 * Mixes voices: each participant hears all the others.
 */
typedef struct subrosa_mixer subrosa_mixer;

/**
 * What is remembered of peers, 1024 of them at most; freed by who made it.
 */
typedef struct subrosa_peer_memory subrosa_peer_memory;

/**
 * A running phone: an engine, its sockets and its audio on a thread of their own. Each thread of
 * the program that commands it has a handle of its own, by subrosa_phone_clone.
 */
typedef struct subrosa_phone subrosa_phone;

/**
 * The safety number of two identities, freed by who made it.
 */
typedef struct subrosa_safety_number subrosa_safety_number;

/**
 * TLS options of a domain, under construction; freed by who made them.
 */
typedef struct subrosa_tls_options subrosa_tls_options;

/**
 * Plays one tone, a block at a time.
 */
typedef struct subrosa_tone_player subrosa_tone_player;

/**
 * 0 on success, else one of the negative SUBROSA_ERR_ constants. Others may be added.
 */
typedef int32_t subrosa_status;

/**
 * A string: UTF-8, not NUL-terminated. One that a function gives lives until the next call on
 * that handle that changes something, polling included. One that a function takes is only
 * read during the call; its pointer may be NULL if its length is 0.
 */
typedef struct subrosa_str {
    /**
     * The first byte.
     */
    const char *ptr;
    /**
     * Bytes.
     */
    size_t len;
} subrosa_str;

/**
 * What is known of an account. Set `size` to sizeof before asking.
 */
typedef struct subrosa_account_info {
    /**
     * sizeof this struct.
     */
    uint32_t size;
    /**
     * A SUBROSA_ACCOUNT_.
     */
    int32_t state;
    /**
     * The SUBROSA_TRANSPORT_ of its flow to the server.
     */
    int32_t transport;
    /**
     * The SUBROSA_POLICY_ in force.
     */
    int32_t policy;
    /**
     * Where that policy comes from: a SUBROSA_POLICY_SOURCE_.
     */
    int32_t policy_source;
    /**
     * The policy prefers TLS, and the account's signalling is in the clear: 1 or 0.
     */
    int32_t fallback;
    /**
     * When the registration ends unless refreshed; the engine's clock, microseconds; else 0.
     */
    uint64_t registered_until_us;
    /**
     * The address of record.
     */
    struct subrosa_str aor;
} subrosa_account_info;

/**
 * An IP address and a port.
 */
typedef struct subrosa_addr {
    /**
     * The address in network order: the first 4 bytes, or all 16.
     */
    uint8_t ip[16];
    /**
     * The port, in the machine's own order.
     */
    uint16_t port;
    /**
     * 4 or 6.
     */
    uint8_t family;
    /**
     * 0.
     */
    uint8_t reserved;
} subrosa_addr;

/**
 * How the audio of calls is encoded. The codecs that have a choice (Opus) follow it, within what
 * the far end asks for. subrosa_audio_options_init fills in the defaults.
 */
typedef struct subrosa_audio_options {
    /**
     * sizeof this struct.
     */
    uint32_t size;
    /**
     * Length of the packets that the far end is asked for, and that one gets that asks for none:
     * 10 to 60 ms, with Opus up to 120. Other lengths become the next shorter one.
     */
    uint32_t ptime_ms;
    /**
     * Mean bitrate of what we send, in bit/s: 6000 to 510000. Less is sent, down to 12000, while the
     * far end's reports show a queue on the way (a round trip that grows) or very much loss.
     */
    uint32_t bitrate;
    /**
     * The mean bitrate that the far end is asked not to exceed, in bit/s; 0: it may choose.
     */
    uint32_t max_receive_bitrate;
    /**
     * 1: all packets have one length, both ways, which tells an observer nothing of the words
     * (RFC 6562).
     */
    int32_t constant_bitrate;
    /**
     * 1: the far end is asked to send nothing in silence, with G.711 and G.722 by an offer of
     * comfort noise (RFC 3389). We do so with Opus if it asks for it, with G.711 and G.722 if this
     * is 1 and it takes comfort noise.
     */
    int32_t dtx;
    /**
     * 1: each packet remembers the one before it, once packets are lost.
     */
    int32_t fec;
    /**
     * Packets that are expected to be lost, in percent, before the far end reports any.
     */
    uint32_t expected_loss_percent;
    /**
     * Effort of the encoder, 0 to 10.
     */
    uint32_t complexity;
    /**
     * 1: redundant audio (RFC 2198) is offered, and sent while the far end reports losses of 3 %
     * and more. A far end that offers it may always send it to us.
     */
    int32_t redundancy;
} subrosa_audio_options;

/**
 * Options of one call; NULL where one is asked for means the defaults.
 */
typedef struct subrosa_call_options {
    /**
     * sizeof this struct.
     */
    uint32_t size;
    /**
     * A SUBROSA_POLICY_; may be stricter than the account's.
     */
    int32_t policy;
    /**
     * Of the PCM written and read, Hz: 8000, 16000, 24000, 32000, 44100 or 48000.
     */
    uint32_t sample_rate;
    /**
     * Give up if nobody answers within this time.
     */
    uint32_t ring_timeout_ms;
    /**
     * How many of `codecs` count; 0 for the account's.
     */
    uint32_t codec_count;
    /**
     * SUBROSA_CODEC_ numbers in order of preference.
     */
    int32_t codecs[SUBROSA_MAX_CODECS];
    /**
     * How our offer asks for SRTP where the policy prefers it: a SUBROSA_MEDIA_OFFER_.
     */
    int32_t media_offer;
    /**
     * What is done to the audio before it is sent: SUBROSA_PROCESSING_ bits;
     * SUBROSA_PROCESSING_DEFAULT for what the configuration says.
     */
    uint32_t processing;
    /**
     * How they are used; NULL: as the account says. Copied.
     */
    const struct subrosa_audio_options *audio;
    /**
     * 1: the program has the codecs (in a DSP, say) and exchanges encoded frames in place of PCM:
     * subrosa_call_read_frame, subrosa_call_write_frame. `sample_rate` then only tells the far end
     * how much of Opus is of use.
     */
    int32_t encoded;
} subrosa_call_options;

/**
 * What is known of a call. Set `size` to sizeof before asking.
 */
typedef struct subrosa_call_info {
    /**
     * sizeof this struct.
     */
    uint32_t size;
    /**
     * A SUBROSA_CALL_.
     */
    int32_t state;
    /**
     * 1 if we called, 0 if we were called.
     */
    int32_t outgoing;
    /**
     * A SUBROSA_CODEC_.
     */
    int32_t codec;
    /**
     * A SUBROSA_END_; SUBROSA_END_NONE while it lives.
     */
    int32_t end_reason;
    /**
     * We hold the far end: 1 or 0.
     */
    int32_t local_hold;
    /**
     * The far end holds us: 1 or 0.
     */
    int32_t remote_hold;
    /**
     * A SUBROSA_TONE_: what the person at this end should hear now.
     */
    int32_t tone;
    /**
     * The far end's URI.
     */
    struct subrosa_str remote;
    /**
     * The Call-ID of its dialog, to find the call in the logs of servers.
     */
    struct subrosa_str sip_call_id;
    /**
     * What we send is silenced: 1 or 0.
     */
    int32_t muted;
    /**
     * SUBROSA_PROCESSING_ bits: the parts that were asked for.
     */
    uint32_t processing;
    /**
     * How much louder the far end hears us, in dB.
     */
    float send_gain_db;
    /**
     * How much louder the far end is heard, in dB.
     */
    float receive_gain_db;
} subrosa_call_info;

/**
 * A microphone or loudspeaker. Set `size` to sizeof before asking.
 */
typedef struct subrosa_device_info {
    /**
     * sizeof this struct.
     */
    uint32_t size;
    /**
     * It is taken if none is named: 1 or 0.
     */
    int32_t is_default;
    /**
     * What the system calls it, for subrosa_audio_device_open_named and _choose. It stays the same
     * while the device is unplugged.
     */
    struct subrosa_str id;
    /**
     * What people call it.
     */
    struct subrosa_str name;
    /**
     * SUBROSA_DEVICE_INPUT or _OUTPUT; a headset is in both lists.
     */
    int32_t direction;
    /**
     * The rate that it is used at, in Hz; 0 if that is unknown because somebody else uses it.
     */
    uint32_t sample_rate;
    /**
     * The lowest and the highest rate that it can do, in Hz; 0 if unknown.
     */
    uint32_t min_rate;
    /**
     * See `min_rate`.
     */
    uint32_t max_rate;
} subrosa_device_info;

/**
 * What happened to the devices. Set `size` to sizeof before asking.
 */
typedef struct subrosa_device_event {
    /**
     * sizeof this struct.
     */
    uint32_t size;
    /**
     * SUBROSA_DEVICE_EVENT_.
     */
    int32_t kind;
    /**
     * SUBROSA_DEVICE_INPUT or _OUTPUT; 0 if it is about neither.
     */
    int32_t direction;
    /**
     * 0; keeps the layout the same everywhere.
     */
    uint32_t reserved;
    /**
     * The device.
     */
    struct subrosa_str id;
    /**
     * What is used instead of it; empty: silence.
     */
    struct subrosa_str replacement;
} subrosa_device_event;

/**
 * How well a device and the call keep pace. Set `size` to sizeof before asking.
 */
typedef struct subrosa_device_stats {
    /**
     * sizeof this struct.
     */
    uint32_t size;
    /**
     * By how much the device's clock is faster than ours, in parts per million, as far as the
     * correction knows it.
     */
    float drift_ppm;
    /**
     * Times that the store between device and call ran dry: a gap each.
     */
    uint64_t underruns;
    /**
     * Times that too much was in store, and some of it was cut.
     */
    uint64_t overruns;
    /**
     * What is in store: the delay that this adds.
     */
    uint64_t delay_us;
    /**
     * Gaps that the system tells of: its own buffer ran dry, or over.
     */
    uint64_t xruns;
    /**
     * Times that the stream broke, and the same device was opened again.
     */
    uint64_t restarts;
} subrosa_device_stats;

/**
 * What an echo test has found. Set `size` to sizeof before asking.
 */
typedef struct subrosa_echo_measurement {
    /**
     * sizeof this struct.
     */
    uint32_t size;
    /**
     * Something came back: 1 or 0.
     */
    int32_t came_back;
    /**
     * The way through both devices and the air; 0 if nothing came back.
     */
    uint64_t delay_us;
    /**
     * How much louder it came back than it was sent, in dB.
     */
    float level_db;
    /**
     * How alike what came back is to what was sent, from 0 to 1.
     */
    float likeness;
    /**
     * The loudest sample that the microphone heard, in dBFS: at -96 it heard nothing at all.
     */
    float peak_dbfs;
    /**
     * 0; keeps the layout the same everywhere.
     */
    uint32_t reserved;
} subrosa_echo_measurement;

/**
 * One DNS record; which fields count depends on its kind.
 */
typedef struct subrosa_dns_record {
    /**
     * A SUBROSA_DNS_ record kind.
     */
    int32_t kind;
    /**
     * SRV: priority. NAPTR: order.
     */
    uint16_t priority;
    /**
     * SRV: weight. NAPTR: preference.
     */
    uint16_t weight;
    /**
     * SRV: port.
     */
    uint16_t port;
    /**
     * A: 4 bytes. AAAA: 16 bytes.
     */
    uint8_t ip[16];
    /**
     * SRV: target. NAPTR: replacement.
     */
    struct subrosa_str target;
    /**
     * NAPTR: flags.
     */
    struct subrosa_str flags;
    /**
     * NAPTR: service.
     */
    struct subrosa_str service;
} subrosa_dns_record;

/**
 * What the encoder has to do. Set `size` to sizeof before asking.
 */
typedef struct subrosa_encoding {
    /**
     * sizeof this struct.
     */
    uint32_t size;
    /**
     * A SUBROSA_CODEC_.
     */
    int32_t codec;
    /**
     * The payload type that was negotiated for it.
     */
    uint32_t payload_type;
    /**
     * Length of a packet, in ms, as the far end asks for it.
     */
    uint32_t ptime_ms;
    /**
     * Mean bitrate, in bit/s, for codecs that have a choice, as the network carries it now; so are
     * those that follow.
     */
    uint32_t bitrate;
    /**
     * 1: each packet as long as its audio needs; 0: all have one length.
     */
    int32_t variable_bitrate;
    /**
     * 1: each packet remembers the one before it, once packets are lost.
     */
    int32_t fec;
    /**
     * 1: nothing is sent in silence but a packet now and then.
     */
    int32_t dtx;
    /**
     * Packets that are expected to be lost, in percent: what the far end reports, if it is more.
     */
    uint32_t expected_loss_percent;
    /**
     * Effort of the encoder, 0 to 10.
     */
    uint32_t complexity;
    /**
     * Nothing above half of this sampling rate, in Hz, is of use to the far end.
     */
    uint32_t max_bandwidth;
    /**
     * 1: the far end takes comfort noise in pauses: subrosa_call_write_comfort_noise.
     */
    int32_t comfort_noise;
} subrosa_encoding;

/**
 * What the decoder is to play next. Set `size` to sizeof before reading.
 */
typedef struct subrosa_encoded_frame {
    /**
     * sizeof this struct.
     */
    uint32_t size;
    /**
     * A SUBROSA_FRAME_.
     */
    int32_t kind;
    /**
     * A SUBROSA_CODEC_.
     */
    int32_t codec;
    /**
     * The payload type that was negotiated for it.
     */
    uint32_t payload_type;
    /**
     * The RTP timestamp of its beginning, in the codec's RTP clock; of what is no packet: where
     * the frame before it ended.
     */
    uint32_t timestamp;
    /**
     * How long it plays, in samples of the codec.
     */
    uint32_t samples;
    /**
     * Samples a second of the codec, in Hz: 48000 for Opus, at whatever rate it is decoded.
     */
    uint32_t sample_rate;
    /**
     * Bytes of the payload, at the start of the buffer that was given; 0 for none.
     */
    size_t payload;
} subrosa_encoded_frame;

/**
 * A packet's worth of encoded audio to be sent.
 */
typedef struct subrosa_frame_to_send {
    /**
     * sizeof this struct.
     */
    uint32_t size;
    /**
     * A SUBROSA_CODEC_: that of subrosa_call_encoding.
     */
    int32_t codec;
    /**
     * How long it lasts, in samples of the codec (at 48 kHz for Opus), up to 120 ms.
     */
    uint32_t samples;
    /**
     * 1: it begins a talkspurt. The first one after a pause does anyway.
     */
    int32_t talkspurt;
    /**
     * The payload of one packet; may be NULL if `payload_len` is 0.
     */
    const uint8_t *payload;
    /**
     * Bytes of it, at most SUBROSA_MAX_PAYLOAD. 0: nothing is to be sent for this time.
     */
    size_t payload_len;
} subrosa_frame_to_send;

/**
 * One candidate that was tried. It stays as it is as long as SUBROSA_ABI_VERSION does.
 */
typedef struct subrosa_ladder_step {
    /**
     * How: a SUBROSA_TRANSPORT_.
     */
    int32_t transport;
    /**
     * What came of it: a SUBROSA_STEP_.
     */
    int32_t outcome;
    /**
     * Where.
     */
    struct subrosa_addr address;
    /**
     * 0; keeps the layout the same everywhere.
     */
    uint32_t reserved;
    /**
     * What came of it, in words.
     */
    struct subrosa_str text;
} subrosa_ladder_step;

/**
 * What an engine holds at the moment. Set `size` to sizeof before asking.
 */
typedef struct subrosa_engine_load {
    /**
     * sizeof this struct.
     */
    uint32_t size;
    /**
     * 0; keeps the layout the same everywhere.
     */
    uint32_t reserved;
    /**
     * Accounts.
     */
    uint64_t accounts;
    /**
     * Calls that are not over.
     */
    uint64_t calls;
    /**
     * Ended calls that are kept for their statistics.
     */
    uint64_t ended;
    /**
     * Transactions, of requests sent and of requests received.
     */
    uint64_t transactions;
    /**
     * Connections, and UDP peers.
     */
    uint64_t flows;
    /**
     * UDP sockets for media.
     */
    uint64_t media_sockets;
    /**
     * Questions to the DNS without an answer.
     */
    uint64_t queries;
    /**
     * Requests sent that wait for a final response, and those that wait for a connection.
     */
    uint64_t requests;
    /**
     * Incoming INVITEs that belong to a call.
     */
    uint64_t invites;
    /**
     * Events that nobody has polled for.
     */
    uint64_t events;
} subrosa_engine_load;

/**
 * How far the key has come that a call sends with. Set `size` to sizeof before asking.
 */
typedef struct subrosa_srtp_progress {
    /**
     * sizeof this struct.
     */
    uint32_t size;
    /**
     * Bytes of the key's identifier in each packet.
     */
    uint32_t mki_len;
    /**
     * How often the keys were changed before.
     */
    uint32_t generation;
    /**
     * Our source.
     */
    uint32_t ssrc;
    /**
     * Its roll-over counter.
     */
    uint32_t roll_over;
    /**
     * Its highest sequence number in that roll-over period; -1 before the first packet.
     */
    int32_t sequence;
    /**
     * Its highest SRTCP index; -1 before the first packet.
     */
    int64_t rtcp_index;
    /**
     * The suite's name.
     */
    struct subrosa_str suite;
} subrosa_srtp_progress;

/**
 * Takes one record of the log: when (the engine's clock, microseconds), how important (a
 * SUBROSA_LOG_), which part of the engine, what happened. Both strings live during the call.
 * No record holds a message, a key, a password or who is called. Functions of the handle that
 * logs give SUBROSA_ERR_BUSY in here.
 */
typedef void (*subrosa_logger)(void *user,
                               uint64_t at_us,
                               int32_t level,
                               struct subrosa_str target,
                               struct subrosa_str text);

/**
 * A packet to be sent. Set `size` to sizeof before polling.
 */
typedef struct subrosa_media_transmit {
    /**
     * sizeof this struct.
     */
    uint32_t size;
    /**
     * From which socket: a SUBROSA_CHANNEL_; SUBROSA_CHANNEL_NONE if there is nothing to send.
     */
    int32_t channel;
    /**
     * To where.
     */
    struct subrosa_addr remote;
    /**
     * Bytes of the packet, at the start of the buffer that was given.
     */
    size_t len;
} subrosa_media_transmit;

/**
 * What happened in a media session; which fields count depends on the kind, the others are 0.
 * Set `size` to sizeof before polling.
 */
typedef struct subrosa_media_event {
    /**
     * sizeof this struct.
     */
    uint32_t size;
    /**
     * A SUBROSA_MEDIA_EVENT_.
     */
    int32_t kind;
    /**
     * An ASCII character.
     */
    int32_t digit;
    /**
     * A SUBROSA_NO_MEDIA_.
     */
    int32_t no_media;
    /**
     * A source of RTP.
     */
    uint32_t ssrc;
    /**
     * The source before.
     */
    uint32_t ssrc_before;
    /**
     * A SUBROSA_BREAKER_.
     */
    int32_t breaker;
    /**
     * An address.
     */
    struct subrosa_addr from;
    /**
     * An address.
     */
    struct subrosa_addr to;
} subrosa_media_event;

/**
 * Statistics of a call's media. Set `size` to sizeof before asking.
 */
typedef struct subrosa_media_stats {
    /**
     * sizeof this struct.
     */
    uint32_t size;
    /**
     * Level of what is sent, after processing, gain and mute: the mean amplitude (a sine of full scale
     * has -4), dB of full scale, -127 to 0.
     */
    float level_sent;
    /**
     * Level of what is heard, after the gain, likewise.
     */
    float level_received;
    /**
     * Share of the far end's packets lost lately, 0 to 1.
     */
    float fraction_lost;
    /**
     * Share of what we sent that the far end lost lately, 0 to 1.
     */
    float remote_fraction_lost;
    /**
     * A SUBROSA_BREAKER_: why sending was stopped.
     */
    int32_t circuit_breaker;
    /**
     * 1 if the far end was heard: the fields from `wideband` to `delay_us` count.
     */
    int32_t has_quality;
    /**
     * 1 if the rating is on the wideband scale.
     */
    int32_t wideband;
    /**
     * Rating with the delay: 0 to 100 (G.107), wideband 0 to 129 (G.107.1).
     */
    float r_factor;
    /**
     * Listening quality, MOS 1 to 4.5.
     */
    float mos_lq;
    /**
     * Conversational quality, MOS 1 to 4.5.
     */
    float mos_cq;
    /**
     * Share of packets lost on the way, 0 to 1.
     */
    float loss_rate;
    /**
     * Share of packets that came too late to be heard, 0 to 1.
     */
    float discard_rate;
    /**
     * How much longer losses in a row are than random ones: 1 or more.
     */
    float burst_ratio;
    /**
     * Share lost or discarded within bursts, 0 to 1.
     */
    float burst_density;
    /**
     * Share lost or discarded between bursts, 0 to 1.
     */
    float gap_density;
    /**
     * 1 if the far end told how good we sound (RFC 3611): the fields `remote_...` below count.
     */
    int32_t has_remote_quality;
    /**
     * Rating as the far end hears us, 0 to 100; -1 if unknown.
     */
    float remote_r_factor;
    /**
     * Listening quality there, MOS; -1 if unknown.
     */
    float remote_mos_lq;
    /**
     * Conversational quality there, MOS; -1 if unknown.
     */
    float remote_mos_cq;
    /**
     * Share of our packets lost on the way, 0 to 1.
     */
    float remote_loss_rate;
    /**
     * Share of our packets that came too late there, 0 to 1.
     */
    float remote_discard_rate;
    /**
     * Mean length of a burst of loss.
     */
    uint64_t burst_duration_us;
    /**
     * Mean length of the time between bursts.
     */
    uint64_t gap_duration_us;
    /**
     * From mouth to ear, one way, as far as it is known.
     */
    uint64_t delay_us;
    /**
     * RTP packets sent.
     */
    uint64_t packets_sent;
    /**
     * RTP packets accepted.
     */
    uint64_t packets_received;
    /**
     * RTP bytes sent.
     */
    uint64_t bytes_sent;
    /**
     * RTP bytes accepted.
     */
    uint64_t bytes_received;
    /**
     * Packets of the far end that were lost; negative with duplicates.
     */
    int64_t lost;
    /**
     * Of what we sent, lost as the far end reports.
     */
    int64_t remote_lost;
    /**
     * Interarrival jitter.
     */
    uint64_t jitter_us;
    /**
     * Round-trip time by RTCP; 0 while unknown.
     */
    uint64_t rtt_us;
    /**
     * Audio that waits to be heard.
     */
    uint64_t buffer_level_us;
    /**
     * Packets that came too late to be heard.
     */
    uint64_t late;
    /**
     * Frames that were concealed.
     */
    uint64_t concealed_frames;
    /**
     * Packets that SRTP refused, for all reasons.
     */
    uint64_t refused;
    /**
     * The delay that the jitter buffer aims at.
     */
    uint64_t buffer_target_us;
    /**
     * RTCP compound packets sent.
     */
    uint64_t rtcp_sent;
    /**
     * RTCP compound packets accepted.
     */
    uint64_t rtcp_received;
    /**
     * Of those refused, packets that look like plain RTP or RTCP.
     */
    uint64_t plain_dropped;
    /**
     * Datagrams that are no RTP.
     */
    uint64_t malformed_rtp;
    /**
     * Datagrams that are no RTCP.
     */
    uint64_t malformed_rtcp;
    /**
     * Datagrams of other protocols (STUN, DTLS).
     */
    uint64_t other_protocol;
    /**
     * Packets from an address that is not the far end's.
     */
    uint64_t wrong_source;
    /**
     * Packets with a payload type that was not negotiated.
     */
    uint64_t unknown_payload_type;
    /**
     * Payloads that are no frame of their codec.
     */
    uint64_t bad_payload;
    /**
     * Packets whose sequence number is not believed.
     */
    uint64_t out_of_sequence;
    /**
     * Packets that came while we do not receive.
     */
    uint64_t while_held;
    /**
     * Packets that came twice.
     */
    uint64_t duplicate;
    /**
     * Packets that came out of order, yet in time.
     */
    uint64_t reordered;
    /**
     * Packets dropped because too many waited to be heard.
     */
    uint64_t jitter_overflow;
    /**
     * Packets dropped because nobody polled for them.
     */
    uint64_t send_overflow;
    /**
     * Packets that SRTP would not protect.
     */
    uint64_t protect_failures;
    /**
     * Changes of the far end's SSRC.
     */
    uint64_t ssrc_changes;
    /**
     * Events dropped because nobody polled for them.
     */
    uint64_t events_dropped;
    /**
     * Audio that was made up in place of frames that were missing.
     */
    uint64_t concealed_us;
    /**
     * Times that audio began to be missing.
     */
    uint64_t concealment_events;
    /**
     * Audio that was left out to shorten the delay.
     */
    uint64_t shrunk_us;
    /**
     * Audio that was repeated to lengthen the delay.
     */
    uint64_t stretched_us;
    /**
     * Mean delay that the jitter buffer added.
     */
    uint64_t buffer_delay_us;
    /**
     * Frames that were heard although their packet was lost: a later one carried a copy
     * (RFC 2198).
     */
    uint64_t recovered;
    /**
     * Packets of redundant audio, and blocks in them, that were not taken.
     */
    uint64_t red_refused;
    /**
     * Packets of comfort noise that came (RFC 3389).
     */
    uint64_t comfort_noise_received;
    /**
     * Packets of comfort noise that were sent.
     */
    uint64_t comfort_noise_sent;
    /**
     * Frames that were not sent because nobody spoke.
     */
    uint64_t suppressed;
    /**
     * What `refused` counts, by reason: subrosa_reason_text names each.
     */
    uint64_t refused_by[SUBROSA_MAX_REASONS];
    /**
     * What `malformed_rtp` counts, by reason.
     */
    uint64_t malformed_rtp_by[SUBROSA_MAX_REASONS];
    /**
     * What `malformed_rtcp` counts, by reason.
     */
    uint64_t malformed_rtcp_by[SUBROSA_MAX_REASONS];
    /**
     * What `red_refused` counts, by reason.
     */
    uint64_t red_refused_by[SUBROSA_MAX_REASONS];
} subrosa_media_stats;

/**
 * An event; which fields count depends on its kind, the others are 0 or empty.
 */
typedef struct subrosa_event {
    /**
     * A SUBROSA_EVENT_.
     */
    int32_t kind;
    /**
     * A SUBROSA_TRANSPORT_.
     */
    int32_t transport;
    /**
     * The call; 0 for none.
     */
    uint64_t call;
    /**
     * The account; 0 for none.
     */
    uint64_t account;
    /**
     * Microseconds.
     */
    uint64_t duration_us;
    /**
     * SIP status; 0 for none.
     */
    int32_t sip_status;
    /**
     * A SUBROSA_END_.
     */
    int32_t end_reason;
    /**
     * A SUBROSA_FAILURE_.
     */
    int32_t failure;
    /**
     * An ASCII character; 0 for none.
     */
    int32_t digit;
    /**
     * 1 or 0.
     */
    int32_t early_media;
    /**
     * 1 or 0.
     */
    int32_t local_hold;
    /**
     * 1 or 0.
     */
    int32_t remote_hold;
    /**
     * 1 or 0.
     */
    int32_t fallback;
    /**
     * A SUBROSA_NO_MEDIA_.
     */
    int32_t no_media;
    /**
     * A SUBROSA_LEVEL_.
     */
    int32_t level_before;
    /**
     * A SUBROSA_LEVEL_.
     */
    int32_t level_now;
    /**
     * A SUBROSA_PADLOCK_: what the screen may show from now on.
     */
    int32_t padlock;
    /**
     * A SUBROSA_BREAKER_.
     */
    int32_t breaker;
    /**
     * The socket of RTP; 0 for none.
     */
    uint64_t rtp_socket;
    /**
     * The socket of RTCP that does not share it; 0 for none.
     */
    uint64_t rtcp_socket;
    /**
     * An address.
     */
    struct subrosa_addr addr;
    /**
     * A URI or a domain.
     */
    struct subrosa_str from;
    /**
     * A name to show.
     */
    struct subrosa_str display_name;
    /**
     * A sentence.
     */
    struct subrosa_str text;
} subrosa_event;

/**
 * An output; which fields count depends on its kind, the others are 0 or empty.
 * Set `size` to sizeof before polling.
 */
typedef struct subrosa_output {
    /**
     * sizeof this struct.
     */
    uint32_t size;
    /**
     * A SUBROSA_OUTPUT_.
     */
    int32_t kind;
    /**
     * Which socket, stream, listener, query or call.
     */
    uint64_t id;
    /**
     * Which address.
     */
    struct subrosa_addr addr;
    /**
     * A SUBROSA_DNS_ record kind.
     */
    int32_t dns_kind;
    /**
     * 1 if `at_us` counts.
     */
    int32_t has_at;
    /**
     * The host's clock, microseconds.
     */
    uint64_t at_us;
    /**
     * Bytes to send: they lie in the buffer that was given.
     */
    const uint8_t *data;
    /**
     * How many.
     */
    size_t data_len;
    /**
     * Bytes that the buffer needs.
     */
    size_t needed;
    /**
     * A name to look up.
     */
    struct subrosa_str name;
    /**
     * What happened.
     */
    struct subrosa_event event;
    /**
     * A change of media: the caller frees it. NULL with every other kind.
     */
    struct subrosa_media_update *update;
} subrosa_output;

/**
 * What a call's protection means in the light of what is remembered of its peer. Set `size` to
 * sizeof before asking.
 */
typedef struct subrosa_verdict {
    /**
     * sizeof this struct.
     */
    uint32_t size;
    /**
     * The best SUBROSA_LEVEL_ of earlier calls, if this one is worse; else SUBROSA_LEVEL_NONE.
     */
    int32_t downgrade;
    /**
     * The peer shows another certificate than the confirmed one, or, if none was confirmed,
     * than the last one: 1 or 0.
     */
    int32_t identity_changed;
    /**
     * The peer shows the confirmed certificate: 1 or 0.
     */
    int32_t verified;
} subrosa_verdict;

/**
 * What the processing of a call's audio knows. Set `size` to sizeof before asking.
 */
typedef struct subrosa_processing_stats {
    /**
     * sizeof this struct.
     */
    uint32_t size;
    /**
     * Echo return loss enhancement of the linear filter, dB.
     */
    float erle_db;
    /**
     * Estimated delay from loudspeaker to microphone; -1 while unknown.
     */
    int32_t delay_ms;
    /**
     * Probability that the last block holds speech, 0 to 1.
     */
    float speech_probability;
    /**
     * 1 if there is speech, or was a moment ago; without voice activity detection always 1.
     */
    int32_t voice_active;
    /**
     * Gain of the gain control, dB.
     */
    float gain_db;
} subrosa_processing_stats;

/**
 * How secure a call is, with the evidence. Set `size` to sizeof before asking.
 */
typedef struct subrosa_security_report {
    /**
     * sizeof this struct.
     */
    uint32_t size;
    /**
     * What the screen may show: a SUBROSA_PADLOCK_.
     */
    int32_t padlock;
    /**
     * The SUBROSA_POLICY_ that the call was made under.
     */
    int32_t policy;
    /**
     * Where that policy comes from: a SUBROSA_POLICY_SOURCE_.
     */
    int32_t policy_source;
    /**
     * The SUBROSA_TRANSPORT_ of signalling; SUBROSA_TRANSPORT_ANY before there is one.
     */
    int32_t transport;
    /**
     * 0x0303 for TLS 1.2, 0x0304 for TLS 1.3, 0 without TLS.
     */
    int32_t tls_version;
    /**
     * The far end of the connection proved an identity that was checked: 1 or 0.
     */
    int32_t peer_verified;
    /**
     * Media was agreed: 1 or 0.
     */
    int32_t media_agreed;
    /**
     * How the key of what we send was agreed: a SUBROSA_KEYING_.
     */
    int32_t keying_out;
    /**
     * How the key of what we receive was agreed: a SUBROSA_KEYING_.
     */
    int32_t keying_in;
    /**
     * The TLS session continues an earlier one; its certificate was checked again: 1 or 0.
     */
    int32_t tls_resumed;
    /**
     * The handshake showed our certificate: 1 or 0.
     */
    int32_t own_certificate_sent;
    /**
     * The cryptography of TLS was a FIPS-validated module, used by its rules: 1 or 0.
     */
    int32_t tls_fips;
    /**
     * The secrets of the connection went into the key log: it is no secret any more: 1 or 0.
     */
    int32_t tls_key_logged;
    /**
     * Whose cryptography TLS ran on: a SUBROSA_TLS_PROVIDER_.
     */
    int32_t tls_provider;
    /**
     * What is known of the peer's certificate's revocation: a SUBROSA_REVOCATION_.
     */
    int32_t peer_revocation;
    /**
     * How well the media is protected, by whatever way signalling goes: a SUBROSA_LEVEL_.
     */
    int32_t level;
    /**
     * The connection of signalling is there: 1; 0 once it is lost, and before there is one.
     */
    int32_t connected;
    /**
     * The key exchange of TLS was a hybrid of a classical and a post-quantum one: 1 or 0.
     */
    int32_t hybrid;
    /**
     * How often the key of what we send was renewed: 0 for the first one.
     */
    uint32_t key_generation_out;
    /**
     * How often the key of what we receive was renewed: 0 for the first one.
     */
    uint32_t key_generation_in;
    /**
     * The peer's `fingerprint` came over signalling whose peer was verified: 1 or 0.
     */
    int32_t fingerprint_verified;
    /**
     * The keys come from DTLS with the certificate that two people confirmed: 1 or 0.
     */
    int32_t peer_identity_verified;
    /**
     * Voice and RTCP are encrypted in both directions, whoever has the keys: 1 or 0.
     */
    int32_t media_encrypted;
    /**
     * RTCP that we send is encrypted and authenticated: 1 or 0.
     */
    int32_t rtcp_encrypted_out;
    /**
     * Only RTCP that is encrypted and authenticated is taken: 1 or 0.
     */
    int32_t rtcp_encrypted_in;
    /**
     * RTCP shares the port of RTP: 1 or 0.
     */
    int32_t rtcp_mux;
    /**
     * Debugging is on: secrets of a connection that carried this call went into the key log.
     */
    int32_t tls_key_log;
    /**
     * Debugging is on: the SIP messages of this call went into the trace.
     */
    int32_t sip_trace;
    /**
     * Packets protected by SRTP and SRTCP.
     */
    uint64_t packets_protected;
    /**
     * Packets whose authentication was good.
     */
    uint64_t packets_authenticated;
    /**
     * Packets whose authentication failed.
     */
    uint64_t auth_failures;
    /**
     * Packets that were seen before or too old.
     */
    uint64_t replays;
    /**
     * Plain packets that arrived where SRTP was agreed.
     */
    uint64_t plain_dropped;
    /**
     * The TLS suite's IANA name; empty without TLS.
     */
    struct subrosa_str tls_suite;
    /**
     * The TLS key exchange group; empty without TLS, and in a resumed session of TLS 1.2.
     */
    struct subrosa_str tls_key_exchange;
    /**
     * The subject of the peer's certificate; empty without one.
     */
    struct subrosa_str peer_subject;
    /**
     * The subject of the trust anchor behind it; empty without one.
     */
    struct subrosa_str peer_anchor;
    /**
     * The user that the peer's certificate names, the first if there are several, for example
     * "alice@example.com"; empty if it names none.
     */
    struct subrosa_str peer_user;
    /**
     * The peer's public key, as a pin of it would be given: "sha256/" and base64.
     */
    struct subrosa_str peer_key;
    /**
     * The pin that held; empty without pins.
     */
    struct subrosa_str peer_pin;
    /**
     * The SRTP suite of what we send; empty for plain RTP.
     */
    struct subrosa_str srtp_suite_out;
    /**
     * The SRTP suite of what we receive; empty for plain RTP.
     */
    struct subrosa_str srtp_suite_in;
    /**
     * The transport profile of what we send, for example "RTP/SAVP"; empty before media.
     */
    struct subrosa_str profile_out;
    /**
     * The transport profile of what we receive; empty before media.
     */
    struct subrosa_str profile_in;
    /**
     * The identifier of the key of what we send, "0x" and hexadecimal digits; empty without.
     */
    struct subrosa_str mki_out;
    /**
     * The identifier of the key of what we receive, the first of several; empty without.
     */
    struct subrosa_str mki_in;
    /**
     * The fingerprint that signalling announced and the peer's certificate has, for example
     * "sha-256 AB:CD:.."; empty unless the keys come from DTLS.
     */
    struct subrosa_str fingerprint;
    /**
     * The padlock in a few words.
     */
    struct subrosa_str padlock_text;
    /**
     * The sentence for the screen.
     */
    struct subrosa_str text;
    /**
     * The sentence and the evidence behind it, line by line.
     */
    struct subrosa_str evidence;
} subrosa_security_report;

/**
 * How loud a call is at this end, in dB of full scale: -96 is silence, 0 the loudest that there
 * is. A peak falls by 11.8 dB a second; RMS is over about 0.3 s, and a full-scale sine has -3. Set
 * `size` to sizeof before asking.
 */
typedef struct subrosa_call_levels {
    /**
     * sizeof this struct.
     */
    uint32_t size;
    /**
     * What the call's source gives, before it is processed, muted or made louder: its peak.
     */
    float sent_peak_dbfs;
    /**
     * Its RMS.
     */
    float sent_rms_dbfs;
    /**
     * What the call's sink gets: its peak.
     */
    float received_peak_dbfs;
    /**
     * Its RMS.
     */
    float received_rms_dbfs;
} subrosa_call_levels;

/**
 * Counters of what came from the network and was no good. Set `size` to sizeof before asking.
 */
typedef struct subrosa_engine_stats {
    /**
     * sizeof this struct.
     */
    uint32_t size;
    /**
     * 0; keeps the layout the same everywhere.
     */
    uint32_t reserved;
    /**
     * SIP messages received.
     */
    uint64_t received;
    /**
     * SIP messages sent.
     */
    uint64_t sent;
    /**
     * Datagrams or frames that were not SIP.
     */
    uint64_t malformed;
    /**
     * Connections and sources that were turned away.
     */
    uint64_t turned_away;
    /**
     * TLS connections that failed.
     */
    uint64_t tls_failures;
    /**
     * Requests that came in again.
     */
    uint64_t retransmissions_in;
    /**
     * Messages sent again.
     */
    uint64_t retransmissions_out;
    /**
     * Requests that were refused for what they ask.
     */
    uint64_t refused_requests;
    /**
     * Requests and responses that belong to no call.
     */
    uint64_t strays;
    /**
     * Datagrams on a media socket that has no session.
     */
    uint64_t stray_media;
    /**
     * Datagrams given to the engine that are for a session that was taken.
     */
    uint64_t taken_media;
    /**
     * Outputs and messages dropped because nobody polled for them.
     */
    uint64_t overflowed;
    /**
     * Requests that came in.
     */
    uint64_t requests_in;
    /**
     * Requests that went out.
     */
    uint64_t requests_out;
    /**
     * Requests refused with 503 for want of room.
     */
    uint64_t overloaded;
    /**
     * Requests refused with 482 because they came by another way already.
     */
    uint64_t merged;
    /**
     * CANCELs that matched no INVITE.
     */
    uint64_t unmatched_cancels;
    /**
     * Responses to nothing that was asked.
     */
    uint64_t stray_responses;
    /**
     * Responses that only look like answers to what was asked.
     */
    uint64_t foreign_responses;
    /**
     * Messages without a usable Via.
     */
    uint64_t without_via;
    /**
     * Messages dropped because nobody polled for them.
     */
    uint64_t backlogged;
    /**
     * Transactions that failed by timeout.
     */
    uint64_t timeouts;
    /**
     * Transactions that failed by the transport.
     */
    uint64_t transport_errors;
    /**
     * Malformed messages that were answered.
     */
    uint64_t malformed_answered;
    /**
     * Messages that could not be built or sent.
     */
    uint64_t unsendable;
    /**
     * Records of the log that were dropped because nobody took them.
     */
    uint64_t log_dropped;
    /**
     * Messages of the SIP trace that were dropped because nobody took them.
     */
    uint64_t trace_dropped;
    /**
     * Events that were dropped because nobody polled for them.
     */
    uint64_t events_dropped;
    /**
     * Requests within a secure call that came over a connection which is not its own.
     */
    uint64_t foreign_requests;
    /**
     * Calls that were refused before the phone could ring (SUBROSA_EVENT_INCOMING_REFUSED).
     */
    uint64_t refused_calls;
    /**
     * What `malformed` counts, by reason: subrosa_reason_text names each.
     */
    uint64_t malformed_by[SUBROSA_MAX_REASONS];
    /**
     * Session descriptions of far ends that were refused, by reason.
     */
    uint64_t sdp_refused_by[SUBROSA_MAX_REASONS];
} subrosa_engine_stats;

/**
 * What the phone's thread itself had to drop. Set `size` to sizeof before asking.
 */
typedef struct subrosa_driver_stats {
    /**
     * sizeof this struct.
     */
    uint32_t size;
    /**
     * 0; keeps the layout the same everywhere.
     */
    uint32_t reserved;
    /**
     * Datagrams that the operating system did not take.
     */
    uint64_t datagrams_refused;
    /**
     * Connections that were not accepted because there were too many.
     */
    uint64_t connections_refused;
    /**
     * Audio ticks skipped because the thread woke up too late.
     */
    uint64_t ticks_skipped;
    /**
     * Events that nobody took.
     */
    uint64_t events_dropped;
} subrosa_driver_stats;

/**
 * One SIP message of the trace. Set `size` to sizeof before asking.
 */
typedef struct subrosa_sip_trace {
    /**
     * sizeof this struct.
     */
    uint32_t size;
    /**
     * SUBROSA_SIP_SENT or SUBROSA_SIP_RECEIVED.
     */
    int32_t direction;
    /**
     * The SUBROSA_TRANSPORT_ by which it travelled.
     */
    int32_t transport;
    /**
     * 0; keeps the layout the same everywhere.
     */
    int32_t reserved;
    /**
     * When, on the engine's clock.
     */
    uint64_t at_us;
    /**
     * Our address.
     */
    struct subrosa_addr local;
    /**
     * The address of the next hop, or of the one before.
     */
    struct subrosa_addr remote;
    /**
     * The whole message without credentials and keys; empty if no message waits.
     */
    struct subrosa_str text;
} subrosa_sip_trace;

#ifdef __cplusplus
extern "C" {
#endif // __cplusplus

/**
 * Makes an account for an address of record such as "sip:alice@example.com". It registers at
 * its domain, with all codecs, unless set otherwise.
 */
subrosa_status subrosa_account_config_new(struct subrosa_str aor,
                                          struct subrosa_account_config **out);

/**
 * Frees an account configuration; NULL is fine.
 */
void subrosa_account_config_free(struct subrosa_account_config *account);

/**
 * The name shown to the people that are called.
 */
subrosa_status subrosa_account_config_set_display_name(struct subrosa_account_config *account,
                                                       struct subrosa_str name);

/**
 * User name and password for Digest; an empty user is the AOR's.
 */
subrosa_status subrosa_account_config_set_credentials(struct subrosa_account_config *account,
                                                      struct subrosa_str user,
                                                      struct subrosa_str password);

/**
 * The only realm whose challenges are answered; empty for the first that the server shows.
 */
subrosa_status subrosa_account_config_set_realm(struct subrosa_account_config *account,
                                                struct subrosa_str realm);

/**
 * Whether to register (1) or not (0): without, calls go directly to their targets.
 */
subrosa_status subrosa_account_config_set_register(struct subrosa_account_config *account,
                                                   int32_t on);

/**
 * The registrar, if it is not the AOR's domain, as a URI; empty for that domain.
 */
subrosa_status subrosa_account_config_set_registrar(struct subrosa_account_config *account,
                                                    struct subrosa_str registrar);

/**
 * The proxy that all requests go through, as a URI; empty for none.
 */
subrosa_status subrosa_account_config_set_outbound_proxy(struct subrosa_account_config *account,
                                                         struct subrosa_str proxy);

/**
 * The one transport to use, a SUBROSA_TRANSPORT_.
 */
subrosa_status subrosa_account_config_set_transport(struct subrosa_account_config *account,
                                                    int32_t transport);

/**
 * The registration's lifetime to ask for, and the keep-alive interval (0 for none), seconds.
 */
subrosa_status subrosa_account_config_set_times(struct subrosa_account_config *account,
                                                uint32_t expires_s,
                                                uint32_t keep_alive_s);

/**
 * The account's policy, a SUBROSA_POLICY_; the domain's may be stricter.
 */
subrosa_status subrosa_account_config_set_policy(struct subrosa_account_config *account,
                                                 int32_t number);

/**
 * The codecs in order of preference, each a SUBROSA_CODEC_.
 */
subrosa_status subrosa_account_config_set_codecs(struct subrosa_account_config *account,
                                                 const int32_t *codecs,
                                                 size_t count);

/**
 * Adds an account to an engine and gives its id. The configuration is copied.
 */
subrosa_status subrosa_engine_add_account(struct subrosa_engine *engine,
                                          uint64_t now_us,
                                          const struct subrosa_account_config *account,
                                          uint64_t *out);

/**
 * Removes an account, un-registering first.
 */
subrosa_status subrosa_engine_remove_account(struct subrosa_engine *engine,
                                             uint64_t now_us,
                                             uint64_t account);

/**
 * What is known of an account.
 */
subrosa_status subrosa_engine_account(const struct subrosa_engine *engine,
                                      uint64_t account,
                                      struct subrosa_account_info *out);

/**
 * Reads an address such as `192.0.2.1:5060` or `[2001:db8::1]:5060`.
 */
subrosa_status subrosa_addr_parse(struct subrosa_str text, struct subrosa_addr *out);

/**
 * Writes an address as text, NUL-terminated; 64 bytes are always enough.
 * SUBROSA_ERR_LIMIT if they are not: nothing is written then.
 */
subrosa_status subrosa_addr_text(struct subrosa_addr addr, char *buffer, size_t room);

/**
 * Fills in the default options. Set `size` to sizeof before.
 */
subrosa_status subrosa_audio_options_init(struct subrosa_audio_options *out);

/**
 * How the account's calls are encoded.
 */
subrosa_status subrosa_account_config_set_audio(struct subrosa_account_config *account,
                                                const struct subrosa_audio_options *audio);

/**
 * Other codecs for the rest of a call, the preferred one first, each a SUBROSA_CODEC_, by
 * re-INVITE. If the far end takes none of them, all stays as it is.
 */
subrosa_status subrosa_call_set_codecs(struct subrosa_engine *engine,
                                       uint64_t now_us,
                                       uint64_t call,
                                       const int32_t *codecs,
                                       size_t count);

/**
 * Offers again what the settings of a call say now, by re-INVITE: after subrosa_call_set_audio the
 * far end hears of another packet length, bitrate or silence that it is asked for.
 */
subrosa_status subrosa_call_renegotiate(struct subrosa_engine *engine,
                                        uint64_t now_us,
                                        uint64_t call);

/**
 * Other settings of a call's encoder, at once: a bitrate that follows the network. What the far
 * end asked for still comes first; what it is asked for itself (packet length, bitrate, silence)
 * stands in the next offer or answer: subrosa_call_renegotiate makes one.
 */
subrosa_status subrosa_call_set_audio(struct subrosa_engine *engine,
                                      uint64_t now_us,
                                      uint64_t call,
                                      const struct subrosa_audio_options *audio);

/**
 * Sends media again after SUBROSA_EVENT_CIRCUIT_BREAKER, because a person wants to;
 * SUBROSA_ERR_WRONG_STATE if nothing was stopped, or less than 15 s ago.
 */
subrosa_status subrosa_call_restart_sending(struct subrosa_engine *engine,
                                            uint64_t now_us,
                                            uint64_t call);

/**
 * Sends media again after SUBROSA_EVENT_CIRCUIT_BREAKER, because a person wants to;
 * SUBROSA_ERR_WRONG_STATE if nothing was stopped, or less than 15 s ago.
 */
subrosa_status subrosa_phone_restart_sending(struct subrosa_phone *phone, uint64_t call);

/**
 * Sends media again after SUBROSA_MEDIA_EVENT_CIRCUIT_BREAKER, because a person wants to;
 * SUBROSA_ERR_WRONG_STATE if nothing was stopped, or less than 15 s ago.
 */
subrosa_status subrosa_media_restart_sending(struct subrosa_media *media, uint64_t now_us);

/**
 * Switches the circuit breaker of a session that was taken on (1) or off (0); see
 * subrosa_config_set_circuit_breaker.
 */
subrosa_status subrosa_media_set_circuit_breaker(struct subrosa_media *media,
                                                 uint64_t now_us,
                                                 int32_t on);

/**
 * Calls `to`, a SIP or SIPS URI, from an account, and gives the call's id.
 */
subrosa_status subrosa_engine_place_call(struct subrosa_engine *engine,
                                         uint64_t now_us,
                                         uint64_t account,
                                         struct subrosa_str to,
                                         const struct subrosa_call_options *call_options,
                                         uint64_t *out);

/**
 * The ids of all calls, those included that ended lately: at most `room` of them are written;
 * `out_count` is how many there are.
 */
subrosa_status subrosa_engine_call_ids(const struct subrosa_engine *engine,
                                       uint64_t *ids,
                                       size_t room,
                                       size_t *out_count);

/**
 * Forgets a call that is over: its id is unknown from now on.
 */
subrosa_status subrosa_engine_forget_call(struct subrosa_engine *engine, uint64_t call);

/**
 * Tells the caller that the phone rings.
 */
subrosa_status subrosa_call_ring(struct subrosa_engine *engine, uint64_t now_us, uint64_t call);

/**
 * Lets audio flow before the call is accepted: announcements, music, a private ringback.
 * subrosa_call_accept goes on with the same media, at the sample rate given here (Hz).
 */
subrosa_status subrosa_call_early_media(struct subrosa_engine *engine,
                                        uint64_t now_us,
                                        uint64_t call,
                                        uint32_t sample_rate);

/**
 * Answers.
 */
subrosa_status subrosa_call_accept(struct subrosa_engine *engine,
                                   uint64_t now_us,
                                   uint64_t call,
                                   const struct subrosa_call_options *call_options);

/**
 * Refuses with a SIP status from 400 to 699: 486 busy, 603 declined.
 */
subrosa_status subrosa_call_reject(struct subrosa_engine *engine,
                                   uint64_t now_us,
                                   uint64_t call,
                                   uint16_t sip_status);

/**
 * Ends the call, whatever its state.
 */
subrosa_status subrosa_call_hang_up(struct subrosa_engine *engine, uint64_t now_us, uint64_t call);

/**
 * Puts the far end on hold.
 */
subrosa_status subrosa_call_hold(struct subrosa_engine *engine, uint64_t now_us, uint64_t call);

/**
 * Takes the far end off hold.
 */
subrosa_status subrosa_call_resume(struct subrosa_engine *engine, uint64_t now_us, uint64_t call);

/**
 * Agrees on a new key for what we send, by re-INVITE; a call that is plain asks for its first
 * ones, as the policy allows. The engine does it by itself when a key nears its end. Watch for
 * SUBROSA_EVENT_SECURITY_CHANGED.
 */
subrosa_status subrosa_call_renew_keys(struct subrosa_engine *engine,
                                       uint64_t now_us,
                                       uint64_t call);

/**
 * Presses a key: one of 0-9, *, #, A-D.
 */
subrosa_status subrosa_call_send_dtmf(struct subrosa_engine *engine,
                                      uint64_t now_us,
                                      uint64_t call,
                                      uint8_t digit,
                                      uint32_t duration_ms);

/**
 * Silences what is sent (1), or ends that (0). It holds for the whole call and may be set before there is media.
 */
subrosa_status subrosa_call_mute(struct subrosa_engine *engine,
                                 uint64_t now_us,
                                 uint64_t call,
                                 int32_t on);

/**
 * What is known of a call.
 */
subrosa_status subrosa_call_get_info(const struct subrosa_engine *engine,
                                     uint64_t call,
                                     struct subrosa_call_info *out);

/**
 * Audio to send: mono, at the call's sample rate, any number of samples.
 */
subrosa_status subrosa_call_write_pcm(struct subrosa_engine *engine,
                                      uint64_t now_us,
                                      uint64_t call,
                                      const int16_t *samples,
                                      size_t count);

/**
 * Fills `samples` with what is to be heard now, silence if there is nothing.
 */
subrosa_status subrosa_call_read_pcm(struct subrosa_engine *engine,
                                     uint64_t now_us,
                                     uint64_t call,
                                     int16_t *samples,
                                     size_t count);

/**
 * Makes a ring of at most `capacity` samples, for example one second: the call's sample rate.
 * If `drift_target` is not 0, the drift between a producer and a consumer whose clocks differ
 * is corrected, so that about that many samples stay in store.
 */
subrosa_status subrosa_audio_ring_new(size_t capacity,
                                      size_t drift_target,
                                      struct subrosa_audio_ring **out);

/**
 * Frees the program's handle; NULL is fine. A call that has the ring keeps it.
 */
void subrosa_audio_ring_free(struct subrosa_audio_ring *ring);

/**
 * Stores samples; `out_stored` is how many fitted. Never waits for the call.
 */
subrosa_status subrosa_audio_ring_push(struct subrosa_audio_ring *ring,
                                       const int16_t *samples,
                                       size_t count,
                                       size_t *out_stored);

/**
 * Fills `samples`, with silence where there is nothing; `out_there` is how many were there.
 */
subrosa_status subrosa_audio_ring_pop(struct subrosa_audio_ring *ring,
                                      int16_t *samples,
                                      size_t count,
                                      size_t *out_there);

/**
 * How many samples are in store.
 */
subrosa_status subrosa_audio_ring_len(const struct subrosa_audio_ring *ring, size_t *out);

/**
 * How many samples did not fit, and how many were missing.
 */
subrosa_status subrosa_audio_ring_lost(const struct subrosa_audio_ring *ring,
                                       uint64_t *out_overflowed,
                                       uint64_t *out_missing);

/**
 * Makes audio for one call: silence out, nothing kept, unless set otherwise.
 */
subrosa_status subrosa_call_audio_new(uint32_t sample_rate, struct subrosa_call_audio **out);

/**
 * Frees it; NULL is fine. Audio that a call has stays with the call.
 */
void subrosa_call_audio_free(struct subrosa_call_audio *audio);

/**
 * What the last failing function on this audio had to say, as a sentence.
 */
subrosa_status subrosa_call_audio_last_error(const struct subrosa_call_audio *audio,
                                             struct subrosa_str *out);

/**
 * The far end hears a WAV file, converted to the sample rate, once, or again and again if
 * `looping` is 1.
 */
subrosa_status subrosa_call_audio_set_source_wav(struct subrosa_call_audio *audio,
                                                 struct subrosa_str file,
                                                 int32_t looping);

/**
 * The far end's voice goes into a WAV file. It is complete once the call has ended.
 */
subrosa_status subrosa_call_audio_set_sink_wav(struct subrosa_call_audio *audio,
                                               struct subrosa_str file);

/**
 * While the far end rings and sends no audio of its own, the sink gets the ringback tone of a
 * country (ISO 3166; one that is not known has the tones that ITU-T E.180 recommends). For the
 * tone after the end see `tone` in subrosa_call_info: the sink is gone by then.
 */
subrosa_status subrosa_call_audio_set_tones(struct subrosa_call_audio *audio,
                                            struct subrosa_str country);

/**
 * The far end hears what is pushed into a ring.
 */
subrosa_status subrosa_call_audio_set_source_ring(struct subrosa_call_audio *audio,
                                                  const struct subrosa_audio_ring *ring);

/**
 * The far end's voice goes into a ring, to be popped from.
 */
subrosa_status subrosa_call_audio_set_sink_ring(struct subrosa_call_audio *audio,
                                                const struct subrosa_audio_ring *ring);

/**
 * Fills in the default options. Set `size` to sizeof before.
 */
subrosa_status subrosa_call_options_init(struct subrosa_call_options *out);

/**
 * Makes a configuration with defaults: UDP on a port of the host's choice, no listener, the
 * public CAs, media ports 16384 to 32767.
 *
 * `seed` is 32 bytes from the platform's cryptographic generator (getrandom, a hardware
 * generator): every key is drawn from it, so it must be secret and new for each engine. More
 * entropy can be added later with subrosa_engine_add_entropy. `unix_time_us` is the wall clock
 * in microseconds since 1970, for certificates.
 */
subrosa_status subrosa_config_new(const uint8_t *seed,
                                  size_t seed_len,
                                  uint64_t unix_time_us,
                                  struct subrosa_config **out);

/**
 * Frees a configuration; NULL is fine.
 */
void subrosa_config_free(struct subrosa_config *config);

/**
 * What the last failing function on this configuration had to say, as a sentence.
 */
subrosa_status subrosa_config_last_error(const struct subrosa_config *config,
                                         struct subrosa_str *out);

/**
 * The local IP address that sockets bind to, for example "192.0.2.7"; "0.0.0.0" unless set.
 */
subrosa_status subrosa_config_set_local_ip(struct subrosa_config *config, struct subrosa_str ip);

/**
 * The local UDP port for SIP: 0 lets the host choose, -1 means no UDP at all.
 */
subrosa_status subrosa_config_set_udp_port(struct subrosa_config *config, int32_t port);

/**
 * Where to accept TCP connections, for example "0.0.0.0:5060"; empty for nowhere.
 */
subrosa_status subrosa_config_set_listen_tcp(struct subrosa_config *config,
                                             struct subrosa_str addr);

/**
 * Where to accept TLS connections, for example "0.0.0.0:5061"; needs an identity.
 */
subrosa_status subrosa_config_set_listen_tls(struct subrosa_config *config,
                                             struct subrosa_str addr);

/**
 * The certificate chain (own certificate first) and its private key, both as PEM text.
 */
subrosa_status subrosa_config_set_identity_pem(struct subrosa_config *config,
                                               struct subrosa_str chain,
                                               struct subrosa_str key);

/**
 * The CAs to trust instead of the public ones, as PEM text; empty trusts nobody.
 */
subrosa_status subrosa_config_set_trust_pem(struct subrosa_config *config, struct subrosa_str cas);

/**
 * The ports for RTP and RTCP, both ends included.
 */
subrosa_status subrosa_config_set_media_ports(struct subrosa_config *config,
                                              uint16_t first,
                                              uint16_t last);

/**
 * The value of User-Agent and Server; empty for none.
 */
subrosa_status subrosa_config_set_user_agent(struct subrosa_config *config,
                                             struct subrosa_str text);

/**
 * The user part of our Contact where no account applies.
 */
subrosa_status subrosa_config_set_local_user(struct subrosa_config *config,
                                             struct subrosa_str user);

/**
 * The codecs that calls may use at all, each a SUBROSA_CODEC_: what accounts and calls name beside
 * them is left out. All of the library unless set.
 */
subrosa_status subrosa_config_set_codecs(struct subrosa_config *config,
                                         const int32_t *codecs,
                                         size_t count);

/**
 * How many calls there may be at the same time (64 unless set).
 */
subrosa_status subrosa_config_set_max_calls(struct subrosa_config *config, uint32_t calls);

/**
 * A call whose media is protected worse than that of earlier calls with the same peer is ended
 * before any audio (1), or only told of: SUBROSA_EVENT_SECURITY_DOWNGRADE (0, unless set).
 */
subrosa_status subrosa_config_set_refuse_downgrade(struct subrosa_config *config, int32_t on);

/**
 * The sending of a call's media stops when it harms the network, or when the far end's reports
 * fail to come: SUBROSA_EVENT_CIRCUIT_BREAKER (1, unless set). Switch it off (0) only where the
 * network cannot be congested.
 */
subrosa_status subrosa_config_set_circuit_breaker(struct subrosa_config *config, int32_t on);

/**
 * When a domain's policy becomes stricter, moves its running plain calls to SRTP (1), or keeps
 * them as they are (0, unless set).
 */
subrosa_status subrosa_config_set_upgrade_running_calls(struct subrosa_config *config, int32_t on);

/**
 * Opens the default microphone and loudspeaker and starts them, for calls of this sample rate (Hz);
 * whatever the devices' own rates are, they are converted. SUBROSA_ERR_SYSTEM if one is missing or
 * refused. Only in a library built with the feature `audio-device`.
 */
subrosa_status subrosa_audio_device_open(uint32_t sample_rate, struct subrosa_audio_device **out);

/**
 * Opens the devices with these ids, or with names that contain these words, and starts them; empty
 * is the default one. SUBROSA_ERR_SYSTEM if one is missing, unknown or refused.
 */
subrosa_status subrosa_audio_device_open_named(uint32_t sample_rate,
                                               struct subrosa_str microphone,
                                               struct subrosa_str loudspeaker,
                                               struct subrosa_audio_device **out);

/**
 * The microphones of the system. SUBROSA_ERR_SYSTEM if it gives no list.
 */
subrosa_status subrosa_audio_device_microphones(struct subrosa_device_list **out);

/**
 * The loudspeakers of the system. SUBROSA_ERR_SYSTEM if it gives no list.
 */
subrosa_status subrosa_audio_device_loudspeakers(struct subrosa_device_list **out);

/**
 * Frees a list; NULL is fine.
 */
void subrosa_device_list_free(struct subrosa_device_list *list);

/**
 * How many devices a list has.
 */
subrosa_status subrosa_device_list_len(const struct subrosa_device_list *list, size_t *out);

/**
 * A device of a list, counted from 0. Its strings live as long as the list.
 */
subrosa_status subrosa_device_list_get(const struct subrosa_device_list *list,
                                       size_t index,
                                       struct subrosa_device_info *out);

/**
 * Stops and frees both; NULL is fine. Calls that have them hear and say silence.
 */
void subrosa_audio_device_free(struct subrosa_audio_device *device);

/**
 * The call says what the microphone hears, and its far end is heard on the loudspeaker. The
 * device must be open at the audio's sample rate. One call has it at a time: the one whose audio
 * was set last; the one before hears and says silence from then on.
 */
subrosa_status subrosa_call_audio_set_device(struct subrosa_call_audio *audio,
                                             const struct subrosa_audio_device *device);

/**
 * What the last failing function on this handle had to say, as a sentence.
 */
subrosa_status subrosa_audio_device_last_error(const struct subrosa_audio_device *device,
                                               struct subrosa_str *out);

/**
 * Uses the device with this id, or with a name that contains these words, from now on, also in the
 * calls that run; empty is the default one. The old device is used until the new one is ready. It
 * stays chosen while it is away. SUBROSA_ERR_SYSTEM if it cannot be used: then the one before is.
 */
subrosa_status subrosa_audio_device_choose(struct subrosa_audio_device *device,
                                           int32_t direction,
                                           struct subrosa_str name);

/**
 * The id of the device in use; empty is silence, because there is none.
 */
subrosa_status subrosa_audio_device_in_use(const struct subrosa_audio_device *device,
                                           int32_t direction,
                                           struct subrosa_str *out);

/**
 * What happened to the devices, waiting for it up to `timeout_ms` (0: does not wait);
 * SUBROSA_DEVICE_EVENT_NONE if nothing did. The handle is busy while this waits.
 */
subrosa_status subrosa_audio_device_next_event(struct subrosa_audio_device *device,
                                               uint32_t timeout_ms,
                                               struct subrosa_device_event *out);

/**
 * How loud a device is, in dBFS: what a call hears from the microphone, before any processing, or
 * plays on the loudspeaker; -96 if no call uses it. See subrosa_call_levels.
 */
subrosa_status subrosa_audio_device_level(const struct subrosa_audio_device *device,
                                          int32_t direction,
                                          float *out_peak_dbfs,
                                          float *out_rms_dbfs);

/**
 * How well a device and the call keep pace, since the handle was opened.
 */
subrosa_status subrosa_audio_device_stats(const struct subrosa_audio_device *device,
                                          int32_t direction,
                                          struct subrosa_device_stats *out);

/**
 * Plays a SUBROSA_TONE_ of a country without a call, for so long, in place of what was played
 * before: busy or congestion after a call, for example. A call that begins meanwhile silences it.
 */
subrosa_status subrosa_audio_device_play_tone(struct subrosa_audio_device *device,
                                              struct subrosa_str country,
                                              int32_t tone,
                                              uint32_t length_ms);

/**
 * An echo test without a call: the loudspeaker plays what the microphone heard so long ago (at
 * most 10 s), until subrosa_audio_device_stop_playing. Use a headset, or it howls.
 */
subrosa_status subrosa_audio_device_play_microphone(struct subrosa_audio_device *device,
                                                    uint32_t delay_ms);

/**
 * Ends what is played without a call.
 */
subrosa_status subrosa_audio_device_stop_playing(struct subrosa_audio_device *device);

/**
 * Whether something is played without a call: 1 or 0.
 */
subrosa_status subrosa_audio_device_is_playing(const struct subrosa_audio_device *device,
                                               int32_t *out);

/**
 * An echo test without a call: sends short sweeps of sound out of the loudspeaker and looks for
 * them in what the microphone hears. It takes some seconds and returns then.
 */
subrosa_status subrosa_audio_device_measure_echo(struct subrosa_audio_device *device,
                                                 struct subrosa_echo_measurement *out);

/**
 * Answers a SUBROSA_OUTPUT_RESOLVE: `result` says whether there are records.
 */
subrosa_status subrosa_engine_handle_resolved(struct subrosa_engine *engine,
                                              uint64_t now_us,
                                              uint64_t query,
                                              int32_t result,
                                              const struct subrosa_dns_record *records,
                                              size_t count);

/**
 * What the encoder of a call has to do, for programs that encode by themselves.
 * SUBROSA_EVENT_ENCODING_CHANGED tells when something else was agreed on.
 */
subrosa_status subrosa_call_encoding(const struct subrosa_engine *engine,
                                     uint64_t call,
                                     struct subrosa_encoding *out);

/**
 * As subrosa_call_encoding, of a session that was taken.
 */
subrosa_status subrosa_media_encoding(const struct subrosa_media *media,
                                      struct subrosa_encoding *out);

/**
 * How a call of a phone is encoded now: as subrosa_call_encoding, of what the phone encodes.
 */
subrosa_status subrosa_phone_encoding(const struct subrosa_phone *phone,
                                      uint64_t call,
                                      struct subrosa_encoding *out);

/**
 * Makes an engine. The configuration is used up, whether or not this succeeds, and still has to
 * be freed; subrosa_config_last_error tells what is wrong with it.
 */
subrosa_status subrosa_engine_new(struct subrosa_config *config,
                                  uint64_t now_us,
                                  struct subrosa_engine **out);

/**
 * Frees an engine; NULL is fine. Calls are not hung up: see subrosa_engine_shut_down.
 */
void subrosa_engine_free(struct subrosa_engine *engine);

/**
 * What the last failing function on this engine had to say, as a sentence.
 */
subrosa_status subrosa_engine_last_error(const struct subrosa_engine *engine,
                                         struct subrosa_str *out);

/**
 * Adds entropy to the engine's generator: any number of bytes, any time. An engine of
 * subrosa_phone_config_new draws from the platform's generator, which needs none.
 */
subrosa_status subrosa_engine_add_entropy(struct subrosa_engine *engine,
                                          const uint8_t *bytes,
                                          size_t len);

/**
 * Sets a domain's policy, a SUBROSA_POLICY_; new calls follow it at once.
 */
subrosa_status subrosa_engine_set_domain_policy(struct subrosa_engine *engine,
                                                uint64_t now_us,
                                                struct subrosa_str domain,
                                                int32_t number);

/**
 * The policy of a domain, a SUBROSA_POLICY_.
 */
subrosa_status subrosa_engine_policy_of(const struct subrosa_engine *engine,
                                        struct subrosa_str domain,
                                        int32_t *out);

/**
 * The policy of a domain, a SUBROSA_POLICY_, and whether it was set: a SUBROSA_POLICY_SOURCE_.
 */
subrosa_status subrosa_engine_domain_policy(const struct subrosa_engine *engine,
                                            struct subrosa_str domain,
                                            int32_t *out_policy,
                                            int32_t *out_source);

/**
 * Hangs up all calls and un-registers all accounts. Go on polling until nothing comes.
 */
subrosa_status subrosa_engine_shut_down(struct subrosa_engine *engine, uint64_t now_us);

/**
 * The instant of SUBROSA_OUTPUT_TIMEOUT has come; early or late is harmless.
 */
subrosa_status subrosa_engine_handle_timeout(struct subrosa_engine *engine, uint64_t now_us);

/**
 * A datagram arrived on a socket. Its bytes are changed: they are decrypted in place.
 */
subrosa_status subrosa_engine_handle_datagram(struct subrosa_engine *engine,
                                              uint64_t now_us,
                                              uint64_t socket,
                                              struct subrosa_addr remote,
                                              uint8_t *payload,
                                              size_t len);

/**
 * SUBROSA_OUTPUT_BIND_UDP was carried out; `local` is the address that the far end can use.
 */
subrosa_status subrosa_engine_handle_udp_bound(struct subrosa_engine *engine,
                                               uint64_t now_us,
                                               uint64_t socket,
                                               struct subrosa_addr local);

/**
 * SUBROSA_OUTPUT_BIND_UDP failed.
 */
subrosa_status subrosa_engine_handle_udp_bind_failed(struct subrosa_engine *engine,
                                                     uint64_t now_us,
                                                     uint64_t socket);

/**
 * SUBROSA_OUTPUT_LISTEN was carried out.
 */
subrosa_status subrosa_engine_handle_listening(struct subrosa_engine *engine,
                                               uint64_t now_us,
                                               uint64_t listener,
                                               struct subrosa_addr local);

/**
 * SUBROSA_OUTPUT_LISTEN failed.
 */
subrosa_status subrosa_engine_handle_listen_failed(struct subrosa_engine *engine,
                                                   uint64_t now_us,
                                                   uint64_t listener);

/**
 * A connection was accepted on a listener; gives the id of the stream. On failure: close it.
 */
subrosa_status subrosa_engine_accept_stream(struct subrosa_engine *engine,
                                            uint64_t now_us,
                                            uint64_t listener,
                                            struct subrosa_addr remote,
                                            struct subrosa_addr local,
                                            uint64_t *out);

/**
 * SUBROSA_OUTPUT_CONNECT was carried out; `local` is our end.
 */
subrosa_status subrosa_engine_handle_stream_connected(struct subrosa_engine *engine,
                                                      uint64_t now_us,
                                                      uint64_t stream,
                                                      struct subrosa_addr local);

/**
 * Bytes arrived on a stream: in order, cut anywhere.
 */
subrosa_status subrosa_engine_handle_stream_data(struct subrosa_engine *engine,
                                                 uint64_t now_us,
                                                 uint64_t stream,
                                                 const uint8_t *data,
                                                 size_t len);

/**
 * A stream ended, broke or could not be connected.
 */
subrosa_status subrosa_engine_handle_stream_closed(struct subrosa_engine *engine,
                                                   uint64_t now_us,
                                                   uint64_t stream);

/**
 * The address of this host from now on, for example "192.0.2.7". Sockets that exist follow with
 * subrosa_engine_handle_network_changed, which comes next.
 */
subrosa_status subrosa_engine_set_local_ip(struct subrosa_engine *engine, struct subrosa_str ip);

/**
 * The host's addresses changed: every flow is opened anew, and running calls tell the far end
 * where they are now.
 */
subrosa_status subrosa_engine_handle_network_changed(struct subrosa_engine *engine,
                                                     uint64_t now_us);

/**
 * Corrects the wall clock: microseconds since 1970.
 */
subrosa_status subrosa_engine_handle_wall_clock(struct subrosa_engine *engine,
                                                uint64_t now_us,
                                                uint64_t unix_time_us);

/**
 * As subrosa_call_early_media, with encoded frames in place of PCM; the sample rate tells the far
 * end how much of Opus is of use.
 */
subrosa_status subrosa_call_early_media_encoded(struct subrosa_engine *engine,
                                                uint64_t now_us,
                                                uint64_t call,
                                                uint32_t sample_rate);

/**
 * What the decoder is to play next, of a call with encoded frames (`encoded` in
 * subrosa_call_options): each item once, in order. Ask when the one before has been played, by the
 * clock of who plays it. The payload is written into `buffer`, of SUBROSA_MAX_PAYLOAD bytes at
 * least. SUBROSA_ERR_AUDIO_MODE if the call exchanges PCM.
 */
subrosa_status subrosa_call_read_frame(struct subrosa_engine *engine,
                                       uint64_t now_us,
                                       uint64_t call,
                                       uint8_t *buffer,
                                       size_t buffer_room,
                                       struct subrosa_encoded_frame *out);

/**
 * A packet's worth of encoded audio to send, of a call with encoded frames. Write in real time, in
 * silence too, with an empty payload: timestamps and key presses follow it. SUBROSA_ERR_CODEC if
 * another codec is agreed on.
 */
subrosa_status subrosa_call_write_frame(struct subrosa_engine *engine,
                                        uint64_t now_us,
                                        uint64_t call,
                                        const struct subrosa_frame_to_send *frame);

/**
 * In place of a frame of a call with encoded frames: nothing is said for so many samples of the
 * codec, and the background sounds like this (RFC 3389: a level and up to ten coefficients). Where
 * the pause begins, and when the background changes; write empty frames in between.
 * SUBROSA_ERR_NOT_SUPPORTED if the far end takes no comfort noise, or the payload is none.
 */
subrosa_status subrosa_call_write_comfort_noise(struct subrosa_engine *engine,
                                                uint64_t now_us,
                                                uint64_t call,
                                                const uint8_t *payload,
                                                size_t payload_len,
                                                uint32_t samples);

/**
 * As subrosa_call_read_frame, of a session that was taken.
 */
subrosa_status subrosa_media_read_frame(struct subrosa_media *media,
                                        uint64_t now_us,
                                        uint8_t *buffer,
                                        size_t buffer_room,
                                        struct subrosa_encoded_frame *out);

/**
 * As subrosa_call_write_frame, of a session that was taken.
 */
subrosa_status subrosa_media_write_frame(struct subrosa_media *media,
                                         uint64_t now_us,
                                         const struct subrosa_frame_to_send *frame);

/**
 * As subrosa_call_write_comfort_noise, of a session that was taken.
 */
subrosa_status subrosa_media_write_comfort_noise(struct subrosa_media *media,
                                                 uint64_t now_us,
                                                 const uint8_t *payload,
                                                 size_t payload_len,
                                                 uint32_t samples);

/**
 * 1 if the session exchanges encoded frames, 0 if PCM.
 */
subrosa_status subrosa_media_is_encoded(const struct subrosa_media *media, int32_t *out);

/**
 * How much louder the far end hears us, in dB: up to +24; -90 or less is silence. A change takes 10 ms. It holds
 * for the whole call and may be set before there is media.
 */
subrosa_status subrosa_call_set_send_gain(struct subrosa_engine *engine,
                                          uint64_t now_us,
                                          uint64_t call,
                                          float db);

/**
 * How much louder the far end is heard, in dB: up to +24; -90 or less is silence. A change takes 10 ms. It holds
 * for the whole call and may be set before there is media.
 */
subrosa_status subrosa_call_set_receive_gain(struct subrosa_engine *engine,
                                             uint64_t now_us,
                                             uint64_t call,
                                             float db);

/**
 * How much louder the far end hears us, in dB: up to +24; -90 or less is silence. A change takes 10 ms.
 */
subrosa_status subrosa_phone_set_send_gain(struct subrosa_phone *phone,
                                           uint64_t call,
                                           float db);

/**
 * How much louder the far end is heard, in dB: up to +24; -90 or less is silence. A change takes 10 ms.
 */
subrosa_status subrosa_phone_set_receive_gain(struct subrosa_phone *phone,
                                              uint64_t call,
                                              float db);

/**
 * How much louder the far end hears us in a session that was taken, in dB, as subrosa_call_set_send_gain.
 */
subrosa_status subrosa_media_set_send_gain(struct subrosa_media *media,
                                           float db);

/**
 * How much louder the far end is heard in a session that was taken, in dB, as subrosa_call_set_receive_gain.
 */
subrosa_status subrosa_media_set_receive_gain(struct subrosa_media *media,
                                              float db);

/**
 * Makes a key and a self-signed certificate that names nobody, with the configuration's
 * generator and wall clock. Keep it, by subrosa_dtls_identity_export: peers recognize it. It is
 * not in the configuration yet: see subrosa_config_set_dtls_identity.
 */
subrosa_status subrosa_dtls_identity_generate(struct subrosa_config *config,
                                              struct subrosa_dtls_identity **out);

/**
 * Takes back what subrosa_dtls_identity_export gave; SUBROSA_ERR_CERTIFICATE for other bytes.
 */
subrosa_status subrosa_dtls_identity_import(const uint8_t *bytes,
                                            size_t len,
                                            struct subrosa_dtls_identity **out);

/**
 * Takes a certificate (DER) and its private key (PKCS #8, DER), both ECDSA P-256.
 */
subrosa_status subrosa_dtls_identity_from_der(const uint8_t *certificate,
                                              size_t certificate_len,
                                              const uint8_t *key,
                                              size_t key_len,
                                              struct subrosa_dtls_identity **out);

/**
 * Frees an identity and wipes its key; NULL is fine. What it was given to keeps its own.
 */
void subrosa_dtls_identity_free(struct subrosa_dtls_identity *identity);

/**
 * Certificate and private key as bytes, for a safe place: `len` is how many. A room of 0 asks
 * for their number alone; one that is too small gives SUBROSA_ERR_LIMIT. Wipe the buffer.
 */
subrosa_status subrosa_dtls_identity_export(const struct subrosa_dtls_identity *identity,
                                            uint8_t *buf,
                                            size_t room,
                                            size_t *len);

/**
 * The certificate, DER; room and length as in subrosa_dtls_identity_export.
 */
subrosa_status subrosa_dtls_identity_certificate(const struct subrosa_dtls_identity *identity,
                                                 uint8_t *buf,
                                                 size_t room,
                                                 size_t *len);

/**
 * The certificate's SHA-256 fingerprint, as in a session description: "sha-256 AB:CD:...".
 */
subrosa_status subrosa_dtls_identity_fingerprint(const struct subrosa_dtls_identity *identity,
                                                 struct subrosa_str *out);

/**
 * Our end of DTLS handshakes; without it the engine makes one that nobody will recognize the
 * next time. The identity is copied.
 */
subrosa_status subrosa_config_set_dtls_identity(struct subrosa_config *config,
                                                const struct subrosa_dtls_identity *identity);

/**
 * Makes the safety number of our identity and the peer's: their SHA-256 fingerprints, as
 * subrosa_dtls_identity_fingerprint gives them, and what both ends call each of them by and
 * that does not change, such as the address of record. It takes some milliseconds.
 */
subrosa_status subrosa_safety_number_new(struct subrosa_str own_fingerprint,
                                         struct subrosa_str own_id,
                                         struct subrosa_str peer_fingerprint,
                                         struct subrosa_str peer_id,
                                         struct subrosa_safety_number **out);

/**
 * Frees a safety number; NULL is fine.
 */
void subrosa_safety_number_free(struct subrosa_safety_number *number);

/**
 * What the last failing function on this safety number had to say, as a sentence.
 */
subrosa_status subrosa_safety_number_last_error(const struct subrosa_safety_number *number,
                                                struct subrosa_str *out);

/**
 * The 60 digits, the same on both ends, as two people compare them: twelve groups of five with
 * blanks between them. They live as long as the safety number.
 */
subrosa_status subrosa_safety_number_digits(const struct subrosa_safety_number *number,
                                            struct subrosa_str *out);

/**
 * Compares with digits that somebody typed or read aloud; blanks do not count. SUBROSA_OK if
 * they are the same, SUBROSA_ERR_MISMATCH if they are not.
 */
subrosa_status subrosa_safety_number_verify_digits(const struct subrosa_safety_number *number,
                                                   struct subrosa_str digits);

/**
 * The bytes of the code that the peer scans, in a QR code's binary mode: `len` is
 * SUBROSA_SAFETY_NUMBER_SCAN_LEN. Room and length as in subrosa_dtls_identity_export.
 */
subrosa_status subrosa_safety_number_scan_payload(const struct subrosa_safety_number *number,
                                                  uint8_t *buf,
                                                  size_t room,
                                                  size_t *len);

/**
 * Compares with the bytes of the code on the peer's screen. SUBROSA_OK if they are of the same
 * two identities; SUBROSA_ERR_MISMATCH if not: show it, somebody may be in between. Of a code of
 * another version (SUBROSA_ERR_NOT_SUPPORTED) or another kind (SUBROSA_ERR_INVALID) nothing
 * follows.
 */
subrosa_status subrosa_safety_number_verify_scanned(const struct subrosa_safety_number *number,
                                                    const uint8_t *payload,
                                                    size_t len);

/**
 * The SRTP suites by their names in SDP, with commas between them, the preferred one first, for
 * example "AEAD_AES_256_GCM,AES_CM_128_HMAC_SHA1_80": offered in this order, and no other is
 * accepted. Empty: the engine's own list, and all are accepted.
 *
 * The engine's own list is AEAD_AES_256_GCM, AEAD_AES_128_GCM, AES_256_CM_HMAC_SHA1_80,
 * AES_CM_128_HMAC_SHA1_80. Offered only where they are named: AES_192_CM_HMAC_SHA1_80,
 * AES_256_CM_HMAC_SHA1_32, AES_192_CM_HMAC_SHA1_32, AES_CM_128_HMAC_SHA1_32 and, for old
 * equipment, F8_128_HMAC_SHA1_80.
 */
subrosa_status subrosa_config_set_srtp_suites(struct subrosa_config *config,
                                              struct subrosa_str names);

/**
 * How many packets one SDES key of ours may protect, 1 to 2^48: our descriptions say so, and new
 * keys are agreed on before. 0: as many as SRTP allows.
 */
subrosa_status subrosa_config_set_srtp_key_lifetime(struct subrosa_config *config,
                                                    uint64_t packets);

/**
 * The versions of DTLS that are offered and accepted: one of SUBROSA_DTLS_, SUBROSA_DTLS_ALL
 * unless set.
 */
subrosa_status subrosa_config_set_dtls_versions(struct subrosa_config *config, int32_t versions);

/**
 * What was tried when the way to an account's server was looked for last, in order: at most
 * `room` steps are written; `out_count` is how many there are, SUBROSA_MAX_LADDER_STEPS at most.
 */
subrosa_status subrosa_engine_account_ladder(const struct subrosa_engine *engine,
                                             uint64_t account,
                                             struct subrosa_ladder_step *steps,
                                             size_t room,
                                             size_t *out_count);

/**
 * What was tried to reach the next hop of a call, in order, and none for a call that came to us;
 * else as subrosa_engine_account_ladder.
 */
subrosa_status subrosa_call_ladder(const struct subrosa_engine *engine,
                                   uint64_t call,
                                   struct subrosa_ladder_step *steps,
                                   size_t room,
                                   size_t *out_count);

/**
 * What an engine holds at the moment: all of it is bounded, and goes after the last call.
 */
subrosa_status subrosa_engine_get_load(const struct subrosa_engine *engine,
                                       struct subrosa_engine_load *out);

/**
 * How far the key has come that a call sends with; SUBROSA_ERR_NO_MEDIA without SRTP.
 */
subrosa_status subrosa_call_srtp_progress(const struct subrosa_engine *engine,
                                          uint64_t call,
                                          struct subrosa_srtp_progress *out);

/**
 * Gives an engine a logger, in place of the one before; NULL for none. It is called with `user`
 * on the thread that calls a function of this engine, at the end of that function.
 */
subrosa_status subrosa_engine_set_logger(struct subrosa_engine *engine,
                                         int32_t number,
                                         subrosa_logger logger,
                                         void *user);

/**
 * Frees a session; NULL is fine. Free it once subrosa_media_is_drained and the last feedback was
 * given, or nobody hears its goodbye. The call of a session that is freed before its end has no
 * media any more: hang it up.
 */
void subrosa_media_free(struct subrosa_media *media);

/**
 * What the last failing function on this session had to say, as a sentence.
 */
subrosa_status subrosa_media_last_error(const struct subrosa_media *media, struct subrosa_str *out);

/**
 * A datagram arrived on one of the two sockets, a SUBROSA_CHANNEL_, whose subrosa_packet_kind is
 * RTP or RTCP; others go to subrosa_engine_handle_datagram. Its bytes are changed: they are
 * decrypted in place. Whatever is wrong with it is counted.
 */
subrosa_status subrosa_media_handle_datagram(struct subrosa_media *media,
                                             uint64_t now_us,
                                             int32_t channel,
                                             struct subrosa_addr remote,
                                             uint8_t *payload,
                                             size_t len);

/**
 * Writes the next packet to be sent into `buffer`, of SUBROSA_MAX_TRANSMIT bytes at least. After
 * whatever is done to the session, poll until `channel` is SUBROSA_CHANNEL_NONE.
 */
subrosa_status subrosa_media_poll_transmit(struct subrosa_media *media,
                                           uint64_t now_us,
                                           uint8_t *buffer,
                                           size_t room,
                                           struct subrosa_media_transmit *out);

/**
 * When to call subrosa_media_handle_timeout; UINT64_MAX for never.
 */
subrosa_status subrosa_media_next_timeout(const struct subrosa_media *media, uint64_t *out);

/**
 * The instant of subrosa_media_next_timeout has come; early or late is harmless.
 */
subrosa_status subrosa_media_handle_timeout(struct subrosa_media *media, uint64_t now_us);

/**
 * What happened; SUBROSA_MEDIA_EVENT_NONE if nothing did. Of a call whose media was taken, the
 * engine does not tell these. At most 64 wait.
 */
subrosa_status subrosa_media_poll_event(struct subrosa_media *media,
                                        struct subrosa_media_event *out);

/**
 * Applies an update of SUBROSA_OUTPUT_MEDIA: each of them, in order. It is used up then, whether
 * or not this succeeds, and still has to be freed; only with SUBROSA_ERR_BUSY it is not. An update
 * of another call gives SUBROSA_ERR_INVALID and changes nothing. After one that was left out
 * (SUBROSA_ERR_WRONG_STATE), or that cannot be applied (SUBROSA_ERR_CONFIG), the session is silent
 * at once, and the engine ends the call when the feedback tells it.
 */
subrosa_status subrosa_media_handle_update(struct subrosa_media *media,
                                           uint64_t now_us,
                                           struct subrosa_media_update *update);

/**
 * What the engine is to be told, for subrosa_engine_handle_media; free it afterwards with
 * subrosa_media_feedback_free. Once a second is plenty, and whenever subrosa_media_feedback_due.
 */
subrosa_status subrosa_media_get_feedback(struct subrosa_media *media,
                                          struct subrosa_media_feedback **out);

/**
 * 1 if something changed that the engine should know at once, else 0: an update was applied or
 * failed, keys changed or must be renewed, or all is sent after the end.
 */
subrosa_status subrosa_media_feedback_due(const struct subrosa_media *media, int32_t *out);

/**
 * 1 once the session has ended: it takes and gives no media any more; else 0.
 */
subrosa_status subrosa_media_is_closed(const struct subrosa_media *media, int32_t *out);

/**
 * 1 once it has ended and its last packet was polled, else 0. Give the engine one more feedback,
 * and it closes the sockets.
 */
subrosa_status subrosa_media_is_drained(const struct subrosa_media *media, int32_t *out);

/**
 * Statistics of the session. Set `size` to sizeof before asking.
 */
subrosa_status subrosa_media_get_stats(const struct subrosa_media *media,
                                       struct subrosa_media_stats *out);

/**
 * Audio to send: mono, at the call's sample rate, any number of samples, in real time. Poll for
 * packets afterwards.
 */
subrosa_status subrosa_media_write_pcm(struct subrosa_media *media,
                                       uint64_t now_us,
                                       const int16_t *samples,
                                       size_t count);

/**
 * Fills `samples` with what is to be heard now, silence if there is nothing.
 */
subrosa_status subrosa_media_read_pcm(struct subrosa_media *media,
                                      uint64_t now_us,
                                      int16_t *samples,
                                      size_t count);

/**
 * Presses a key: one of 0-9, *, #, A-D.
 */
subrosa_status subrosa_media_send_dtmf(struct subrosa_media *media,
                                       uint8_t digit,
                                       uint32_t duration_ms);

/**
 * Silences what is sent (1), or ends that (0).
 */
subrosa_status subrosa_media_set_muted(struct subrosa_media *media, int32_t on);

/**
 * Frees an update; NULL is fine.
 */
void subrosa_media_update_free(struct subrosa_media_update *update);

/**
 * Frees a feedback; NULL is fine.
 */
void subrosa_media_feedback_free(struct subrosa_media_feedback *feedback);

/**
 * Hands out the media session of a call, to be run by the caller, perhaps on a thread of its own,
 * and to be freed with subrosa_media_free. From then on the RTP and RTCP datagrams of
 * subrosa_call_media_sockets go to the session, its packets are sent from there, and its PCM is
 * written and read there; each SUBROSA_OUTPUT_MEDIA goes to it, and what it tells comes back with
 * subrosa_engine_handle_media. On another network SUBROSA_EVENT_MEDIA_SOCKETS_CHANGED names the
 * sockets that take the place of those. After the call's end the sockets stay open until that says that all
 * is sent, two seconds at most. SUBROSA_ERR_NO_MEDIA if the call has no media (yet),
 * SUBROSA_ERR_MEDIA_TAKEN if it was taken before, SUBROSA_ERR_WRONG_STATE if it is kept.
 */
subrosa_status subrosa_engine_take_media(struct subrosa_engine *engine,
                                         uint64_t call,
                                         struct subrosa_media **out);

/**
 * From now on subrosa_engine_take_media gives SUBROSA_ERR_WRONG_STATE: for a host that runs the
 * media of all its calls in the engine, and lets others use that.
 */
subrosa_status subrosa_engine_keep_media(struct subrosa_engine *engine);

/**
 * The sockets of a call's media: of RTP, and of RTCP that does not share it. SUBROSA_ERR_NO_MEDIA
 * until they are bound.
 */
subrosa_status subrosa_call_media_sockets(struct subrosa_engine *engine,
                                          uint64_t call,
                                          uint64_t *out_rtp,
                                          uint64_t *out_rtcp);

/**
 * What a media session that was taken from this call tells of itself. The feedback still has to
 * be freed. One of another call's session gives SUBROSA_ERR_INVALID.
 */
subrosa_status subrosa_engine_handle_media(struct subrosa_engine *engine,
                                           uint64_t now_us,
                                           uint64_t call,
                                           const struct subrosa_media_feedback *feedback);

/**
 * What a datagram on a media socket claims to be, a SUBROSA_PACKET_ (RFC 7983). Looks at two
 * bytes and proves nothing.
 */
subrosa_status subrosa_packet_kind(const uint8_t *payload, size_t len, int32_t *out);

/**
 * Statistics of a call's media, the last ones after its end.
 */
subrosa_status subrosa_call_media_stats(const struct subrosa_engine *engine,
                                        uint64_t call,
                                        struct subrosa_media_stats *out);

/**
 * Makes a mixer with room for 2 to 64 participants, for blocks of `block` samples (60 ms at most)
 * at a rate of 8000 to 48000 Hz. For each block: subrosa_mixer_write for each participant,
 * subrosa_mixer_mix once, subrosa_mixer_read for each.
 */
subrosa_status subrosa_mixer_new(uint32_t sample_rate,
                                 size_t block,
                                 size_t participants,
                                 struct subrosa_mixer **out);

/**
 * Frees a mixer; NULL is fine.
 */
void subrosa_mixer_free(struct subrosa_mixer *mixer);

/**
 * What the last failing function on this mixer had to say, as a sentence.
 */
subrosa_status subrosa_mixer_last_error(const struct subrosa_mixer *mixer, struct subrosa_str *out);

/**
 * Somebody joins; `out` is a number for him alone. SUBROSA_ERR_WRONG_STATE if all places are
 * taken.
 */
subrosa_status subrosa_mixer_add(struct subrosa_mixer *mixer, uint64_t *out);

/**
 * Somebody leaves. Mute him a block before, so that the others hear no click.
 */
subrosa_status subrosa_mixer_remove(struct subrosa_mixer *mixer, uint64_t participant);

/**
 * How loud the others hear somebody, in dB: up to +24; -90 or less is silence.
 */
subrosa_status subrosa_mixer_set_gain(struct subrosa_mixer *mixer, uint64_t participant, float db);

/**
 * Silences somebody for the others (1), or ends that (0).
 */
subrosa_status subrosa_mixer_set_muted(struct subrosa_mixer *mixer,
                                       uint64_t participant,
                                       int32_t on);

/**
 * What came from somebody for this block. Who is not written is silent in it.
 */
subrosa_status subrosa_mixer_write(struct subrosa_mixer *mixer,
                                   uint64_t participant,
                                   const int16_t *samples,
                                   size_t count);

/**
 * Mixes the block.
 */
subrosa_status subrosa_mixer_mix(struct subrosa_mixer *mixer);

/**
 * What somebody is to hear of this block: all the others, subrosa_mixer_delay samples later.
 */
subrosa_status subrosa_mixer_read(struct subrosa_mixer *mixer,
                                  uint64_t participant,
                                  int16_t *samples,
                                  size_t count);

/**
 * The delay of the limiter, in samples.
 */
subrosa_status subrosa_mixer_delay(const struct subrosa_mixer *mixer, size_t *out);

/**
 * How loud somebody is, in dB of full scale (-127 to 0).
 */
subrosa_status subrosa_mixer_level(const struct subrosa_mixer *mixer,
                                   uint64_t participant,
                                   float *out);

/**
 * Who talks; 0 for nobody.
 */
subrosa_status subrosa_mixer_active_talker(const struct subrosa_mixer *mixer, uint64_t *out);

/**
 * The next thing to do. After every input and every command, poll and do what it says until
 * SUBROSA_OUTPUT_TIMEOUT. Bytes to send are written into `buffer`: 2048 bytes are a good size.
 */
subrosa_status subrosa_engine_poll_output(struct subrosa_engine *engine,
                                          uint8_t *buffer,
                                          size_t room,
                                          struct subrosa_output *out);

/**
 * Makes a memory in which nothing is remembered.
 */
subrosa_status subrosa_peer_memory_new(struct subrosa_peer_memory **out);

/**
 * Takes back what subrosa_peer_memory_export gave. SUBROSA_ERR_INVALID for other bytes,
 * SUBROSA_ERR_NOT_SUPPORTED for those of another version.
 */
subrosa_status subrosa_peer_memory_import(const uint8_t *bytes,
                                          size_t len,
                                          struct subrosa_peer_memory **out);

/**
 * Frees a memory; NULL is fine.
 */
void subrosa_peer_memory_free(struct subrosa_peer_memory *memory);

/**
 * What the last failing function on this memory had to say, as a sentence.
 */
subrosa_status subrosa_peer_memory_last_error(const struct subrosa_peer_memory *memory,
                                              struct subrosa_str *out);

/**
 * Everything as bytes, for a safe place: whoever can change them can make a stranger a confirmed
 * peer. Room and length as in subrosa_dtls_identity_export.
 */
subrosa_status subrosa_peer_memory_export(const struct subrosa_peer_memory *memory,
                                          uint8_t *buf,
                                          size_t room,
                                          size_t *len);

/**
 * How many peers are remembered.
 */
subrosa_status subrosa_peer_memory_len(const struct subrosa_peer_memory *memory, size_t *out);

/**
 * The media of a call with `peer`, a URI, is protected at this SUBROSA_LEVEL_; the fingerprint
 * is that of the certificate that its keys were agreed with by DTLS ("sha-256 AB:..."), or
 * empty. Gives what that means by what was remembered before, and remembers it.
 */
subrosa_status subrosa_peer_memory_note(struct subrosa_peer_memory *memory,
                                        struct subrosa_str peer,
                                        int32_t number,
                                        struct subrosa_str shown,
                                        uint64_t unix_time_us,
                                        struct subrosa_verdict *out);

/**
 * Two people compared the safety number that is made of this fingerprint of the peer's. It
 * replaces an earlier one.
 */
subrosa_status subrosa_peer_memory_confirm(struct subrosa_peer_memory *memory,
                                           struct subrosa_str peer,
                                           struct subrosa_str shown,
                                           uint64_t unix_time_us);

/**
 * Whether this is the confirmed fingerprint of the peer: 1 or 0.
 */
subrosa_status subrosa_peer_memory_is_confirmed(const struct subrosa_peer_memory *memory,
                                                struct subrosa_str peer,
                                                struct subrosa_str shown,
                                                int32_t *out);

/**
 * When two people confirmed the peer's fingerprint, microseconds since 1970; 0 for never.
 */
subrosa_status subrosa_peer_memory_verified_at(const struct subrosa_peer_memory *memory,
                                               struct subrosa_str peer,
                                               uint64_t *out);

/**
 * Forgets a peer: its next call is like a first one. SUBROSA_ERR_UNKNOWN_ID if it was not known.
 */
subrosa_status subrosa_peer_memory_forget(struct subrosa_peer_memory *memory,
                                          struct subrosa_str peer);

/**
 * What an engine remembers of peers across calls, for subrosa_engine_import_peers after a
 * restart; else as subrosa_peer_memory_export.
 */
subrosa_status subrosa_engine_export_peers(const struct subrosa_engine *engine,
                                           uint8_t *buf,
                                           size_t room,
                                           size_t *len);

/**
 * Remembers what was exported, in place of what is remembered now. Do it before the first call.
 */
subrosa_status subrosa_engine_import_peers(struct subrosa_engine *engine,
                                           const uint8_t *bytes,
                                           size_t len);

/**
 * Forgets a peer, a URI, also that it was confirmed: for a person who has a new phone.
 * SUBROSA_ERR_UNKNOWN_ID if it was not known.
 */
subrosa_status subrosa_engine_forget_peer(struct subrosa_engine *engine, struct subrosa_str peer);

/**
 * The safety number of a call, for its two people to compare; free it.
 * SUBROSA_ERR_WRONG_STATE unless its keys come from DTLS and it has an account.
 */
subrosa_status subrosa_call_safety_number(const struct subrosa_engine *engine,
                                          uint64_t call,
                                          struct subrosa_safety_number **out);

/**
 * The two people compared the safety number, and it is the same: from now on the peer is known
 * by its certificate, in this call and in later ones.
 */
subrosa_status subrosa_call_confirm_safety_number(struct subrosa_engine *engine,
                                                  uint64_t now_us,
                                                  uint64_t call);

/**
 * Makes a configuration with the platform's generator and clock; else as subrosa_config_new.
 * Only in a library built with the feature `driver`, as all subrosa_phone_ functions.
 */
subrosa_status subrosa_phone_config_new(struct subrosa_config **out);

/**
 * The DNS servers that a phone asks, for example "192.0.2.53:53", separated by commas, instead
 * of the platform's; empty for none at all. An engine alone has no use for them.
 */
subrosa_status subrosa_config_set_dns_servers(struct subrosa_config *config,
                                              struct subrosa_str servers);

/**
 * Makes a phone and starts its thread. The configuration is used up, whether or not this
 * succeeds, and still has to be freed; subrosa_config_last_error tells what is wrong with it.
 */
subrosa_status subrosa_phone_new(struct subrosa_config *config, struct subrosa_phone **out);

/**
 * Another handle to the same phone, for another thread. Each event goes to one of the handles.
 */
subrosa_status subrosa_phone_clone(const struct subrosa_phone *phone, struct subrosa_phone **out);

/**
 * Frees a handle; NULL is fine. With the last one the phone hangs up and ends by itself.
 */
void subrosa_phone_free(struct subrosa_phone *phone);

/**
 * Hangs up all calls, un-registers all accounts and waits, 3 s at most, until that is said.
 * Whatever is asked of the phone later gives SUBROSA_ERR_STOPPED.
 */
subrosa_status subrosa_phone_stop(struct subrosa_phone *phone);

/**
 * What the last failing function on this handle had to say, as a sentence.
 */
subrosa_status subrosa_phone_last_error(const struct subrosa_phone *phone, struct subrosa_str *out);

/**
 * The phone's clock now, microseconds: that of registered_until_us.
 */
subrosa_status subrosa_phone_now(const struct subrosa_phone *phone, uint64_t *out);

/**
 * Waits for the next event, `timeout_ms` at most (0: does not wait). `out` is of kind
 * SUBROSA_OUTPUT_EVENT, or SUBROSA_OUTPUT_TIMEOUT if nothing came; set its `size` before.
 * The handle is busy while this waits: other threads have handles of their own.
 * SUBROSA_ERR_STOPPED once the phone was stopped and its last event was taken.
 */
subrosa_status subrosa_phone_next_event(struct subrosa_phone *phone,
                                        uint32_t timeout_ms,
                                        struct subrosa_output *out);

/**
 * Gives this handle a logger, in place of the one before; NULL for none. It is called with
 * `user` by subrosa_phone_next_event on this handle, on the thread that waits there: before it
 * waits, and before it returns. Of several handles to a phone one should log.
 */
subrosa_status subrosa_phone_set_logger(struct subrosa_phone *phone,
                                        int32_t number,
                                        subrosa_logger logger,
                                        void *user);

/**
 * Adds an account and gives its id. The configuration is copied.
 */
subrosa_status subrosa_phone_add_account(struct subrosa_phone *phone,
                                         const struct subrosa_account_config *account,
                                         uint64_t *out);

/**
 * Removes an account, un-registering first.
 */
subrosa_status subrosa_phone_remove_account(struct subrosa_phone *phone, uint64_t account);

/**
 * What is known of an account.
 */
subrosa_status subrosa_phone_account(const struct subrosa_phone *phone,
                                     uint64_t account,
                                     struct subrosa_account_info *out);

/**
 * Sets a domain's policy, a SUBROSA_POLICY_; new calls follow it at once.
 */
subrosa_status subrosa_phone_set_domain_policy(struct subrosa_phone *phone,
                                               struct subrosa_str domain,
                                               int32_t number);

/**
 * The policy of a domain, a SUBROSA_POLICY_.
 */
subrosa_status subrosa_phone_policy_of(const struct subrosa_phone *phone,
                                       struct subrosa_str domain,
                                       int32_t *out);

/**
 * As subrosa_engine_domain_policy.
 */
subrosa_status subrosa_phone_domain_policy(const struct subrosa_phone *phone,
                                           struct subrosa_str domain,
                                           int32_t *out_policy,
                                           int32_t *out_source);

/**
 * As subrosa_engine_account_ladder.
 */
subrosa_status subrosa_phone_account_ladder(const struct subrosa_phone *phone,
                                            uint64_t account,
                                            struct subrosa_ladder_step *steps,
                                            size_t room,
                                            size_t *out_count);

/**
 * The address of this host from now on, for example "192.0.2.7". Sockets that exist follow with
 * subrosa_phone_network_changed, which comes next.
 */
subrosa_status subrosa_phone_set_local_ip(struct subrosa_phone *phone, struct subrosa_str ip);

/**
 * The host's addresses changed: every flow is opened anew, and running calls tell the far end
 * where they are now.
 */
subrosa_status subrosa_phone_network_changed(struct subrosa_phone *phone);

/**
 * Calls `to`, a SIP or SIPS URI, from an account, and gives the call's id. `audio` is used up;
 * NULL is silence. Its sample rate must be that of the options.
 */
subrosa_status subrosa_phone_place_call(struct subrosa_phone *phone,
                                        uint64_t account,
                                        struct subrosa_str to,
                                        const struct subrosa_call_options *call_options,
                                        struct subrosa_call_audio *audio,
                                        uint64_t *out);

/**
 * The ids of all calls, those included that ended lately: at most `room` of them are written;
 * `out_count` is how many there are.
 */
subrosa_status subrosa_phone_call_ids(const struct subrosa_phone *phone,
                                      uint64_t *ids,
                                      size_t room,
                                      size_t *out_count);

/**
 * Forgets a call that is over: its id is unknown from now on.
 */
subrosa_status subrosa_phone_forget_call(struct subrosa_phone *phone, uint64_t call);

/**
 * Tells the caller that the phone rings.
 */
subrosa_status subrosa_phone_ring(struct subrosa_phone *phone, uint64_t call);

/**
 * Lets audio flow before the call is accepted: announcements, music, a private ringback.
 * `audio` is used up; NULL is silence; its sample rate must be that given here (Hz).
 * subrosa_phone_accept goes on at the same rate, with the audio that is given there.
 */
subrosa_status subrosa_phone_early_media(struct subrosa_phone *phone,
                                         uint64_t call,
                                         uint32_t sample_rate,
                                         struct subrosa_call_audio *audio);

/**
 * Answers. `audio` is used up; NULL is silence. Its sample rate must be that of the options.
 */
subrosa_status subrosa_phone_accept(struct subrosa_phone *phone,
                                    uint64_t call,
                                    const struct subrosa_call_options *call_options,
                                    struct subrosa_call_audio *audio);

/**
 * Refuses with a SIP status from 400 to 699: 486 busy, 603 declined.
 */
subrosa_status subrosa_phone_reject(struct subrosa_phone *phone,
                                    uint64_t call,
                                    uint16_t sip_status);

/**
 * Ends the call, whatever its state.
 */
subrosa_status subrosa_phone_hang_up(struct subrosa_phone *phone, uint64_t call);

/**
 * Puts the far end on hold.
 */
subrosa_status subrosa_phone_hold(struct subrosa_phone *phone, uint64_t call);

/**
 * As subrosa_call_set_codecs.
 */
subrosa_status subrosa_phone_set_codecs(struct subrosa_phone *phone,
                                        uint64_t call,
                                        const int32_t *codecs,
                                        size_t count);

/**
 * As subrosa_call_renegotiate.
 */
subrosa_status subrosa_phone_renegotiate(struct subrosa_phone *phone, uint64_t call);

/**
 * As subrosa_call_set_audio.
 */
subrosa_status subrosa_phone_set_audio(struct subrosa_phone *phone,
                                       uint64_t call,
                                       const struct subrosa_audio_options *audio);

/**
 * Takes the far end off hold.
 */
subrosa_status subrosa_phone_resume(struct subrosa_phone *phone, uint64_t call);

/**
 * As subrosa_call_renew_keys.
 */
subrosa_status subrosa_phone_renew_keys(struct subrosa_phone *phone, uint64_t call);

/**
 * Presses a key: one of 0-9, *, #, A-D.
 */
subrosa_status subrosa_phone_send_dtmf(struct subrosa_phone *phone,
                                       uint64_t call,
                                       uint8_t digit,
                                       uint32_t duration_ms);

/**
 * Silences what is sent (1), or ends that (0). It holds for the whole call and may be set before there is media.
 */
subrosa_status subrosa_phone_mute(struct subrosa_phone *phone,
                                  uint64_t call,
                                  int32_t on);

/**
 * Switches the processing of what a call sends: SUBROSA_PROCESSING_ bits.
 */
subrosa_status subrosa_phone_set_processing(struct subrosa_phone *phone,
                                            uint64_t call,
                                            uint32_t parts);

/**
 * What the processing of a call's audio knows.
 */
subrosa_status subrosa_phone_processing_stats(const struct subrosa_phone *phone,
                                              uint64_t call,
                                              struct subrosa_processing_stats *out);

/**
 * What is known of a call.
 */
subrosa_status subrosa_phone_call(const struct subrosa_phone *phone,
                                  uint64_t call,
                                  struct subrosa_call_info *out);

/**
 * How secure a call is, or was.
 */
subrosa_status subrosa_phone_call_security(const struct subrosa_phone *phone,
                                           uint64_t call,
                                           struct subrosa_security_report *out);

/**
 * As subrosa_call_srtp_progress.
 */
subrosa_status subrosa_phone_srtp_progress(const struct subrosa_phone *phone,
                                           uint64_t call,
                                           struct subrosa_srtp_progress *out);

/**
 * As subrosa_call_ladder.
 */
subrosa_status subrosa_phone_call_ladder(const struct subrosa_phone *phone,
                                         uint64_t call,
                                         struct subrosa_ladder_step *steps,
                                         size_t room,
                                         size_t *out_count);

/**
 * Statistics of a call's media, the last ones after its end.
 */
subrosa_status subrosa_phone_call_media_stats(const struct subrosa_phone *phone,
                                              uint64_t call,
                                              struct subrosa_media_stats *out);

/**
 * Attaches audio to a call, in place of what was attached. `audio` is used up.
 */
subrosa_status subrosa_phone_attach_audio(struct subrosa_phone *phone,
                                          uint64_t call,
                                          struct subrosa_call_audio *audio);

/**
 * Replaces what the far end hears by a WAV file, once, or again and again if `looping` is 1.
 * `sample_rate` is that of the call's options.
 */
subrosa_status subrosa_phone_play_wav(struct subrosa_phone *phone,
                                      uint64_t call,
                                      struct subrosa_str file,
                                      uint32_t sample_rate,
                                      int32_t looping);

/**
 * Replaces where the far end's voice goes by a WAV file. It is complete once the call has ended.
 */
subrosa_status subrosa_phone_record_wav(struct subrosa_phone *phone,
                                        uint64_t call,
                                        struct subrosa_str file,
                                        uint32_t sample_rate);

/**
 * Replaces what the far end hears by what is pushed into a ring.
 */
subrosa_status subrosa_phone_play_ring(struct subrosa_phone *phone,
                                       uint64_t call,
                                       const struct subrosa_audio_ring *ring);

/**
 * Replaces where the far end's voice goes by a ring, to be popped from.
 */
subrosa_status subrosa_phone_record_ring(struct subrosa_phone *phone,
                                         uint64_t call,
                                         const struct subrosa_audio_ring *ring);

/**
 * How loud a call is at this end. SUBROSA_ERR_UNKNOWN_ID if no audio is attached to it: it is over,
 * or not answered yet.
 */
subrosa_status subrosa_phone_levels(const struct subrosa_phone *phone,
                                    uint64_t call,
                                    struct subrosa_call_levels *out);

/**
 * As subrosa_engine_export_peers.
 */
subrosa_status subrosa_phone_export_peers(const struct subrosa_phone *phone,
                                          uint8_t *buf,
                                          size_t room,
                                          size_t *len);

/**
 * As subrosa_engine_import_peers.
 */
subrosa_status subrosa_phone_import_peers(struct subrosa_phone *phone,
                                          const uint8_t *bytes,
                                          size_t len);

/**
 * As subrosa_engine_forget_peer.
 */
subrosa_status subrosa_phone_forget_peer(struct subrosa_phone *phone, struct subrosa_str peer);

/**
 * As subrosa_call_safety_number.
 */
subrosa_status subrosa_phone_safety_number(const struct subrosa_phone *phone,
                                           uint64_t call,
                                           struct subrosa_safety_number **out);

/**
 * As subrosa_call_confirm_safety_number.
 */
subrosa_status subrosa_phone_confirm_safety_number(struct subrosa_phone *phone, uint64_t call);

/**
 * Counters of what came from the network and was no good.
 */
subrosa_status subrosa_phone_get_stats(const struct subrosa_phone *phone,
                                       struct subrosa_engine_stats *out);

/**
 * As subrosa_engine_get_load.
 */
subrosa_status subrosa_phone_get_load(const struct subrosa_phone *phone,
                                      struct subrosa_engine_load *out);

/**
 * What the phone's thread itself had to drop.
 */
subrosa_status subrosa_phone_driver_stats(const struct subrosa_phone *phone,
                                          struct subrosa_driver_stats *out);

/**
 * As subrosa_engine_tls_options.
 */
subrosa_status subrosa_phone_tls_options(const struct subrosa_phone *phone,
                                         struct subrosa_tls_options **out);

/**
 * As subrosa_engine_set_domain_tls.
 */
subrosa_status subrosa_phone_set_domain_tls(struct subrosa_phone *phone,
                                            struct subrosa_str domain,
                                            const struct subrosa_tls_options *options);

/**
 * As subrosa_engine_clear_domain_tls.
 */
subrosa_status subrosa_phone_clear_domain_tls(struct subrosa_phone *phone,
                                              struct subrosa_str domain);

/**
 * As subrosa_engine_poll_key_log.
 */
subrosa_status subrosa_phone_poll_key_log(struct subrosa_phone *phone,
                                          char *buf,
                                          size_t room,
                                          size_t *len);

/**
 * As subrosa_engine_poll_sip_trace.
 */
subrosa_status subrosa_phone_poll_sip_trace(struct subrosa_phone *phone,
                                            struct subrosa_sip_trace *out);

/**
 * Trusts whom the operating system trusts, instead of the public CAs. SUBROSA_ERR_SYSTEM if it
 * has no trust store. Only in a library built with the feature `platform-roots`.
 */
subrosa_status subrosa_config_set_trust_platform(struct subrosa_config *config);

/**
 * What is done to the audio of calls before it is sent, where their options do not say:
 * SUBROSA_PROCESSING_ bits (none, unless set).
 */
subrosa_status subrosa_config_set_processing(struct subrosa_config *config, uint32_t parts);

/**
 * Switches the processing of what a call sends: SUBROSA_PROCESSING_ bits. What subrosa_call_read_pcm
 * gives is the reference for echo cancellation. A session that was taken hears of it by an update.
 */
subrosa_status subrosa_call_set_processing(struct subrosa_engine *engine,
                                           uint64_t now_us,
                                           uint64_t call,
                                           uint32_t parts);

/**
 * What the processing of a call's audio knows.
 */
subrosa_status subrosa_call_processing_stats(const struct subrosa_engine *engine,
                                             uint64_t call,
                                             struct subrosa_processing_stats *out);

/**
 * Switches the processing of what a taken session sends: SUBROSA_PROCESSING_ bits. What
 * subrosa_media_read_pcm gives is the reference for echo cancellation.
 */
subrosa_status subrosa_media_set_processing(struct subrosa_media *media, uint32_t parts);

/**
 * What the processing of a taken session knows.
 */
subrosa_status subrosa_media_processing_stats(const struct subrosa_media *media,
                                              struct subrosa_processing_stats *out);

/**
 * Makes the engine what a provisioning document says, everything or nothing, and if it is applied
 * again changes only what changed. The format is a SUBROSA_FORMAT_. The ids of its accounts, in
 * its order, go to `accounts` as far as there is room; `out` is how many there are. The document
 * names no files. subrosa_engine_last_error has each mistake, with its line, on a line. A library
 * without the feature `provisioning` does not have this function.
 */
subrosa_status subrosa_engine_provision(struct subrosa_engine *engine,
                                        uint64_t now_us,
                                        struct subrosa_str text,
                                        int32_t format,
                                        uint64_t *accounts,
                                        size_t accounts_len,
                                        size_t *out);

/**
 * The same for a phone. A library without the feature `provisioning` does not have this function.
 */
subrosa_status subrosa_phone_provision(struct subrosa_phone *phone,
                                       struct subrosa_str text,
                                       int32_t format,
                                       uint64_t *accounts,
                                       size_t accounts_len,
                                       size_t *out);

/**
 * The name of a reason, such as "missing_via": `of` is one of SUBROSA_REASON_, `reason` its
 * place in the array. SUBROSA_ERR_INVALID behind the last one. Lives for ever.
 */
subrosa_status subrosa_reason_text(uint32_t of, size_t reason, struct subrosa_str *out);

/**
 * How secure a call is, or was.
 */
subrosa_status subrosa_call_security(const struct subrosa_engine *engine,
                                     uint64_t call,
                                     struct subrosa_security_report *out);

/**
 * Counters of what came from the network and was no good.
 */
subrosa_status subrosa_engine_get_stats(const struct subrosa_engine *engine,
                                        struct subrosa_engine_stats *out);

/**
 * The library's SUBROSA_ABI_VERSION: compare it with the header's at start-up.
 */
uint32_t subrosa_abi_version(void);

/**
 * The library's version, for example "0.1.0". Lives for ever.
 */
subrosa_status subrosa_version(struct subrosa_str *out);

/**
 * A status in words, NUL-terminated, for ever; "unknown status" for any other number.
 */
const char *subrosa_status_text(subrosa_status status);

/**
 * Whose cryptography TLS runs on, a SUBROSA_TLS_PROVIDER_; ring unless set.
 */
subrosa_status subrosa_config_set_tls_provider(struct subrosa_config *config, int32_t number);

/**
 * Adds certificate revocation lists (PEM), for servers and for clients. An expired list refuses
 * the connection unless `use_expired` is 1; with `need_listed` 1 a certificate that no list
 * covers is refused.
 */
subrosa_status subrosa_config_add_revocation_pem(struct subrosa_config *config,
                                                 struct subrosa_str lists,
                                                 int32_t use_expired,
                                                 int32_t need_listed);

/**
 * With `required` 1, connections that are accepted must bring a certificate that the CAs vouch
 * for. A `domain` that is not empty is added to those of which it must stand for one.
 */
subrosa_status subrosa_config_set_client_certificates(struct subrosa_config *config,
                                                      int32_t required,
                                                      struct subrosa_str domain);

/**
 * With 1, the secrets of every connection are given away by subrosa_engine_poll_key_log: for
 * debugging alone.
 */
subrosa_status subrosa_config_set_key_log(struct subrosa_config *config, int32_t on);

/**
 * The versions of TLS, both ways: 0x0304 for TLS 1.3 alone, 0x0303 for TLS 1.2 alone, 0 for both.
 */
subrosa_status subrosa_config_set_tls_versions(struct subrosa_config *config, int32_t version);

/**
 * With 1, a certificate whose key purposes name TLS alone is refused (RFC 5924 to the letter;
 * public authorities issue nothing else).
 */
subrosa_status subrosa_config_set_sip_purpose_only(struct subrosa_config *config, int32_t on);

/**
 * Makes options as they are for domains that have none of their own.
 */
subrosa_status subrosa_engine_tls_options(const struct subrosa_engine *engine,
                                          struct subrosa_tls_options **out);

/**
 * Frees options; NULL is fine.
 */
void subrosa_tls_options_free(struct subrosa_tls_options *options);

/**
 * What the last failing function on these options had to say, as a sentence.
 */
subrosa_status subrosa_tls_options_last_error(const struct subrosa_tls_options *options,
                                              struct subrosa_str *out);

/**
 * The CAs to trust for the domain, as PEM text; empty trusts nobody.
 */
subrosa_status subrosa_tls_options_set_trust_pem(struct subrosa_tls_options *options,
                                                 struct subrosa_str cas);

/**
 * The certificate chain to present to the domain and its private key, both as PEM text.
 */
subrosa_status subrosa_tls_options_set_identity_pem(struct subrosa_tls_options *options,
                                                    struct subrosa_str chain,
                                                    struct subrosa_str key);

/**
 * Adds a pin, "sha256/" and the base64 of a public key's SHA-256: one of the pins must stand in
 * the domain's chain. Add a second one of a key kept offline; at most 16.
 */
subrosa_status subrosa_tls_options_add_pin(struct subrosa_tls_options *options,
                                           struct subrosa_str pin);

/**
 * As subrosa_config_add_revocation_pem, for the domain.
 */
subrosa_status subrosa_tls_options_add_revocation_pem(struct subrosa_tls_options *options,
                                                      struct subrosa_str lists,
                                                      int32_t use_expired,
                                                      int32_t need_listed);

/**
 * Gives a domain TLS options of its own: connections opened from now on have them. The options
 * can be changed and given again; they still have to be freed.
 */
subrosa_status subrosa_engine_set_domain_tls(struct subrosa_engine *engine,
                                             struct subrosa_str domain,
                                             const struct subrosa_tls_options *options);

/**
 * Takes a domain's own TLS options away; SUBROSA_ERR_WRONG_STATE if it had none.
 */
subrosa_status subrosa_engine_clear_domain_tls(struct subrosa_engine *engine,
                                               struct subrosa_str domain);

/**
 * The next line of the TLS key log (SSLKEYLOGFILE format, without the line's end), into at least
 * SUBROSA_KEY_LOG_LINE bytes; `len` is 0 if there is none. Write it to a file of its own, and
 * wipe the buffer.
 */
subrosa_status subrosa_engine_poll_key_log(struct subrosa_engine *engine,
                                           char *buf,
                                           size_t room,
                                           size_t *len);

/**
 * Plays a SUBROSA_TONE_ of a country (ISO 3166, for example "DE"; one that is not known has the
 * tones that ITU-T E.180 recommends) at a rate of 8000 to 48000 Hz. SUBROSA_ERR_NOT_SUPPORTED if
 * the country has no such tone.
 */
subrosa_status subrosa_tone_player_new(struct subrosa_str country,
                                       int32_t tone,
                                       uint32_t sample_rate,
                                       struct subrosa_tone_player **out);

/**
 * Plays one of 0-9, *, #, A-D once, as sound, with the levels of its low and its high frequency
 * in dBm0 (-9 and -7 are usual).
 */
subrosa_status subrosa_tone_player_dtmf(uint8_t digit,
                                        int8_t low_level,
                                        int8_t high_level,
                                        uint32_t duration_ms,
                                        uint32_t sample_rate,
                                        struct subrosa_tone_player **out);

/**
 * Frees a player; NULL is fine.
 */
void subrosa_tone_player_free(struct subrosa_tone_player *player);

/**
 * What the last failing function on this player had to say, as a sentence.
 */
subrosa_status subrosa_tone_player_last_error(const struct subrosa_tone_player *player,
                                              struct subrosa_str *out);

/**
 * Fills `samples` with what comes next; silence once the tone is over.
 */
subrosa_status subrosa_tone_player_read(struct subrosa_tone_player *player,
                                        int16_t *samples,
                                        size_t count);

/**
 * Ends the tone: it fades out within 4 ms.
 */
subrosa_status subrosa_tone_player_stop(struct subrosa_tone_player *player);

/**
 * 1 once all was played, else 0.
 */
subrosa_status subrosa_tone_player_is_finished(const struct subrosa_tone_player *player,
                                               int32_t *out);

/**
 * Makes a detector for sound of a rate of 8000 to 48000 Hz.
 */
subrosa_status subrosa_dtmf_detector_new(uint32_t sample_rate, struct subrosa_dtmf_detector **out);

/**
 * Frees a detector; NULL is fine.
 */
void subrosa_dtmf_detector_free(struct subrosa_dtmf_detector *detector);

/**
 * What the last failing function on this detector had to say, as a sentence.
 */
subrosa_status subrosa_dtmf_detector_last_error(const struct subrosa_dtmf_detector *detector,
                                                struct subrosa_str *out);

/**
 * Takes samples; the digits found in them, each told once, are written to `out_digits` as ASCII
 * characters, `room` of them at most, and their number to `out_count`. A digit lasts 40 ms or
 * more: 100 ms of sound have two at most.
 */
subrosa_status subrosa_dtmf_detector_push(struct subrosa_dtmf_detector *detector,
                                          const int16_t *samples,
                                          size_t count,
                                          uint8_t *out_digits,
                                          size_t room,
                                          size_t *out_count);

/**
 * The digit that is being heard, as an ASCII character; 0 for none.
 */
subrosa_status subrosa_dtmf_detector_current(const struct subrosa_dtmf_detector *detector,
                                             int32_t *out);

/**
 * Forgets the past: another stream begins.
 */
subrosa_status subrosa_dtmf_detector_reset(struct subrosa_dtmf_detector *detector);

/**
 * With 1, every SIP message is given away in the clear by subrosa_engine_poll_sip_trace, without
 * credentials and keys: for debugging alone, it shows who calls whom. 0 at first.
 */
subrosa_status subrosa_config_set_sip_trace(struct subrosa_config *config, int32_t on);

/**
 * The oldest message of the trace that was not taken yet; its text is empty if none waits.
 */
subrosa_status subrosa_engine_poll_sip_trace(struct subrosa_engine *engine,
                                             struct subrosa_sip_trace *out);

#ifdef __cplusplus
}  // extern "C"
#endif  // __cplusplus

#endif  /* SUBROSA_H */
