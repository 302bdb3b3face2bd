/* What a program can do wrong, and what it is told: NULL, ranges, states, stale ids, sizes. */
#include "check.h"

static void versions(void) {
    subrosa_str version = {NULL, 0};
    CHECK(subrosa_abi_version() == SUBROSA_ABI_VERSION);
    IS(subrosa_version(&version), SUBROSA_OK);
    CHECK(version.len >= 5 && memchr(version.ptr, '.', version.len));
    IS(subrosa_version(NULL), SUBROSA_ERR_NULL);
    CHECK(!strcmp(subrosa_status_text(SUBROSA_OK), "success"));
    CHECK(!strcmp(subrosa_status_text(-12345), "unknown status"));
}

static void configs(void) {
    uint8_t seed[32] = {0};
    subrosa_config *config = NULL;
    subrosa_engine *engine = NULL;
    subrosa_str why = {NULL, 0};
    subrosa_str not_utf8 = {"\xff\xfe", 2}, lost = {NULL, 4};
    IS(subrosa_config_new(seed, 32, 0, &config), SUBROSA_ERR_INVALID); /* all zero */
    seed[0] = 1;
    IS(subrosa_config_new(seed, 31, 0, &config), SUBROSA_ERR_INVALID);
    IS(subrosa_config_new(NULL, 32, 0, &config), SUBROSA_ERR_NULL);
    IS(subrosa_config_new(seed, 32, 0, NULL), SUBROSA_ERR_NULL);
    CHECK(config == NULL); /* written only on success */
    subrosa_config_free(NULL);
    config = new_config(1);
    IS(subrosa_config_set_local_ip(config, str("here")), SUBROSA_ERR_INVALID);
    IS(subrosa_config_last_error(config, &why), SUBROSA_OK);
    CHECK(why.len > 0);
    IS(subrosa_config_set_local_ip(config, not_utf8), SUBROSA_ERR_UTF8);
    IS(subrosa_config_set_local_ip(config, lost), SUBROSA_ERR_NULL);
    IS(subrosa_config_set_local_ip(NULL, str("127.0.0.1")), SUBROSA_ERR_NULL);
    IS(subrosa_config_set_udp_port(config, 65536), SUBROSA_ERR_INVALID);
    IS(subrosa_config_set_udp_port(config, -2), SUBROSA_ERR_INVALID);
    IS(subrosa_config_set_trust_pem(config, str("nonsense")), SUBROSA_ERR_CERTIFICATE);
    IS(subrosa_config_set_identity_pem(config, str("a"), str("b")), SUBROSA_ERR_CERTIFICATE);
    IS(subrosa_config_set_listen_tls(config, str("127.0.0.1:5061")), SUBROSA_OK);
    IS(subrosa_engine_new(config, 0, &engine), SUBROSA_ERR_CONFIG); /* TLS without identity */
    CHECK(engine == NULL);
    /* Its randomness is used up. */
    IS(subrosa_engine_new(config, 0, &engine), SUBROSA_ERR_WRONG_STATE);
    IS(subrosa_config_set_max_calls(config, 1), SUBROSA_ERR_WRONG_STATE);
    subrosa_config_free(config);
}

static void accounts(subrosa_engine *engine) {
    subrosa_account_config *config = NULL;
    subrosa_account_info info = {.size = sizeof info};
    int32_t codecs[2] = {SUBROSA_CODEC_PCMA, 99};
    uint64_t id = 77;
    IS(subrosa_account_config_new(str("mailto:a@b"), &config), SUBROSA_OK); /* a URI as such */
    IS(subrosa_engine_add_account(engine, 0, config, &id), SUBROSA_ERR_URI);
    CHECK(id == 77);
    subrosa_account_config_free(config);
    config = NULL;
    IS(subrosa_account_config_new(str("no uri at all"), &config), SUBROSA_ERR_URI);
    CHECK(config == NULL);
    IS(subrosa_account_config_new(str("sip:a@example.com"), &config), SUBROSA_OK);
    IS(subrosa_account_config_set_policy(config, 3), SUBROSA_ERR_INVALID);
    IS(subrosa_account_config_set_transport(config, -1), SUBROSA_ERR_INVALID);
    IS(subrosa_account_config_set_codecs(config, codecs, 2), SUBROSA_ERR_INVALID);
    IS(subrosa_account_config_set_codecs(config, NULL, 2), SUBROSA_ERR_NULL);
    IS(subrosa_account_config_set_register(config, 0), SUBROSA_OK);
    IS(subrosa_account_config_set_codecs(config, NULL, 0), SUBROSA_OK);
    IS(subrosa_engine_add_account(engine, 0, config, &id), SUBROSA_ERR_INVALID); /* no codec */
    IS(subrosa_account_config_set_codecs(config, codecs, 1), SUBROSA_OK);
    IS(subrosa_engine_add_account(engine, 0, config, &id), SUBROSA_OK);
    IS(subrosa_engine_account(engine, id, &info), SUBROSA_OK);
    CHECK(info.state == SUBROSA_ACCOUNT_UNREGISTERED);
    CHECK(info.aor.len == 17 && !memcmp(info.aor.ptr, "sip:a@example.com", 17));
    IS(subrosa_engine_remove_account(engine, 0, id), SUBROSA_OK);
    IS(subrosa_engine_remove_account(engine, 0, id), SUBROSA_ERR_UNKNOWN_ID);
    IS(subrosa_engine_account(engine, id, &info), SUBROSA_ERR_UNKNOWN_ID);
    subrosa_account_config_free(config);
    subrosa_account_config_free(NULL);
}

static void calls(subrosa_engine *engine) {
    uint64_t account = add_account(engine, "sip:a@example.com", SUBROSA_POLICY_OFF), call = 0;
    subrosa_call_options options = {.size = sizeof options};
    subrosa_call_info info = {.size = sizeof info};
    subrosa_media_stats media = {.size = sizeof media};
    subrosa_security_report report = {.size = sizeof report};
    subrosa_str why = {NULL, 0};
    int16_t pcm[160] = {0};
    uint64_t ids[2] = {0, 0};
    size_t count = 9;
    IS(subrosa_engine_place_call(engine, 0, 0, str("sip:b@192.0.2.1"), NULL, &call),
       SUBROSA_ERR_UNKNOWN_ID);
    IS(subrosa_engine_place_call(engine, 0, account, str("tel:+1"), NULL, &call), SUBROSA_ERR_URI);
    IS(subrosa_call_options_init(&options), SUBROSA_OK);
    CHECK(options.size == sizeof options && options.sample_rate == 16000);
    options.sample_rate = 12345;
    IS(subrosa_engine_place_call(engine, 0, account, str("sip:b@192.0.2.1"), &options, &call),
       SUBROSA_ERR_INVALID);
    options.sample_rate = 16000;
    options.media_offer = 3;
    IS(subrosa_engine_place_call(engine, 0, account, str("sip:b@192.0.2.1"), &options, &call),
       SUBROSA_ERR_INVALID);
    options.size = 0;
    IS(subrosa_call_options_init(&options), SUBROSA_ERR_STRUCT_SIZE);
    IS(subrosa_engine_place_call(engine, 0, account, str("sip:b@192.0.2.1"), &options, &call),
       SUBROSA_ERR_STRUCT_SIZE);
    CHECK(call == 0);
    IS(subrosa_engine_place_call(engine, 0, account, str("sip:b@192.0.2.1"), NULL, &call),
       SUBROSA_OK);
    IS(subrosa_engine_call_ids(engine, ids, 2, &count), SUBROSA_OK);
    CHECK(count == 1 && ids[0] == call);
    count = 9;
    IS(subrosa_engine_call_ids(engine, NULL, 0, &count), SUBROSA_OK);
    CHECK(count == 1); /* how many there are, whatever the room */
    IS(subrosa_call_get_info(engine, call, &info), SUBROSA_OK);
    CHECK(info.outgoing == 1 && info.codec == SUBROSA_CODEC_NONE);
    IS(subrosa_call_ring(engine, 0, call), SUBROSA_ERR_WRONG_STATE);
    IS(subrosa_call_accept(engine, 0, call, NULL), SUBROSA_ERR_WRONG_STATE);
    IS(subrosa_call_early_media(engine, 0, call, 16000), SUBROSA_ERR_WRONG_STATE);
    IS(subrosa_call_ladder(engine, call, NULL, 0, &count), SUBROSA_OK);
    IS(subrosa_call_ladder(engine, call + 1, NULL, 0, &count), SUBROSA_ERR_UNKNOWN_ID);
    IS(subrosa_engine_account_ladder(engine, account, NULL, 0, &count), SUBROSA_OK);
    IS(subrosa_engine_account_ladder(engine, call, NULL, 0, &count), SUBROSA_ERR_UNKNOWN_ID);
    IS(subrosa_call_hold(engine, 0, call), SUBROSA_ERR_WRONG_STATE);
    IS(subrosa_engine_last_error(engine, &why), SUBROSA_OK);
    CHECK(why.len > 10);
    IS(subrosa_call_send_dtmf(engine, 0, call, 'x', 100), SUBROSA_ERR_INVALID);
    IS(subrosa_call_write_pcm(engine, 0, call, pcm, 160), SUBROSA_ERR_NO_MEDIA);
    IS(subrosa_call_read_pcm(engine, 0, call, pcm, 160), SUBROSA_ERR_NO_MEDIA);
    IS(subrosa_call_write_pcm(engine, 0, call, NULL, 160), SUBROSA_ERR_NULL);
    IS(subrosa_call_media_stats(engine, call, &media), SUBROSA_ERR_NO_MEDIA);
    IS(subrosa_call_security(engine, call, &report), SUBROSA_OK);
    CHECK(report.padlock == SUBROSA_PADLOCK_NONE && report.padlock_text.len > 0);
    report.size = 8;
    IS(subrosa_call_security(engine, call, &report), SUBROSA_ERR_STRUCT_SIZE);
    IS(subrosa_call_hang_up(engine, 0, call + 1), SUBROSA_ERR_UNKNOWN_ID);
    IS(subrosa_call_hang_up(engine, 0, call), SUBROSA_OK);
}

static void inputs(subrosa_engine *engine) {
    subrosa_addr addr, back;
    subrosa_dns_record record;
    subrosa_output out = {.size = 4};
    char text[64];
    uint8_t bytes[4] = {1, 2, 3, 4};
    uint64_t stream;
    memset(&addr, 0, sizeof addr);
    memset(&record, 0, sizeof record);
    IS(subrosa_engine_handle_datagram(engine, 0, 1, addr, bytes, 4), SUBROSA_ERR_INVALID);
    IS(subrosa_addr_parse(str("example.com:1"), &addr), SUBROSA_ERR_INVALID);
    IS(subrosa_addr_parse(str("[2001:db8::1]:5060"), &addr), SUBROSA_OK);
    IS(subrosa_addr_text(addr, text, sizeof text), SUBROSA_OK);
    CHECK(!strcmp(text, "[2001:db8::1]:5060"));
    IS(subrosa_addr_parse(str("192.0.2.1:65535"), &back), SUBROSA_OK);
    IS(subrosa_addr_text(back, text, 15), SUBROSA_ERR_LIMIT);
    IS(subrosa_addr_text(back, text, 16), SUBROSA_OK);
    CHECK(!strcmp(text, "192.0.2.1:65535"));
    IS(subrosa_engine_handle_datagram(engine, 0, 1, addr, bytes, 4), SUBROSA_ERR_UNKNOWN_ID);
    IS(subrosa_engine_handle_datagram(engine, 0, 1, addr, NULL, 4), SUBROSA_ERR_NULL);
    IS(subrosa_engine_handle_stream_data(engine, 0, 1, bytes, SIZE_MAX), SUBROSA_ERR_INVALID);
    IS(subrosa_engine_handle_stream_data(engine, 0, 1, bytes, 4), SUBROSA_ERR_UNKNOWN_ID);
    IS(subrosa_engine_accept_stream(engine, 0, 1, addr, addr, &stream), SUBROSA_ERR_UNKNOWN_ID);
    IS(subrosa_engine_handle_resolved(engine, 0, 1, 7, NULL, 0), SUBROSA_ERR_INVALID);
    IS(subrosa_engine_handle_resolved(engine, 0, 1, SUBROSA_DNS_RECORDS, &record, 1),
       SUBROSA_ERR_INVALID);
    IS(subrosa_engine_poll_output(engine, NULL, 0, &out), SUBROSA_ERR_STRUCT_SIZE);
    out.size = sizeof out;
    IS(subrosa_engine_poll_output(engine, NULL, 2048, &out), SUBROSA_ERR_NULL);
    IS(subrosa_engine_poll_output(NULL, bytes, 4, &out), SUBROSA_ERR_NULL);
    IS(subrosa_engine_poll_output(engine, bytes, 4, NULL), SUBROSA_ERR_NULL);
    IS(subrosa_engine_add_entropy(engine, bytes, 4), SUBROSA_OK);
    IS(subrosa_engine_handle_wall_clock(engine, 0, 1798761600ull * 1000000), SUBROSA_OK);
    IS(subrosa_engine_handle_network_changed(engine, 0), SUBROSA_OK);
}

static void policies(subrosa_engine *engine) {
    int32_t policy = -1, source = -1;
    IS(subrosa_engine_set_domain_policy(engine, 0, str("a b"), 1), SUBROSA_ERR_INVALID);
    IS(subrosa_engine_set_domain_policy(engine, 0, str("example.com"), 9), SUBROSA_ERR_INVALID);
    IS(subrosa_engine_set_domain_policy(engine, 0, str("example.org"), SUBROSA_POLICY_REQUIRED),
       SUBROSA_OK);
    IS(subrosa_engine_policy_of(engine, str("EXAMPLE.org"), &policy), SUBROSA_OK);
    CHECK(policy == SUBROSA_POLICY_REQUIRED);
    IS(subrosa_engine_domain_policy(engine, str("example.org"), &policy, &source), SUBROSA_OK);
    CHECK(policy == SUBROSA_POLICY_REQUIRED && source == SUBROSA_POLICY_SOURCE_DOMAIN);
    IS(subrosa_engine_domain_policy(engine, str("example.net"), &policy, &source), SUBROSA_OK);
    CHECK(policy == SUBROSA_POLICY_PREFERRED && source == SUBROSA_POLICY_SOURCE_DEFAULT);
    IS(subrosa_engine_domain_policy(engine, str("example.net"), &policy, NULL), SUBROSA_ERR_NULL);
}

static void tls(subrosa_engine *engine) {
    subrosa_tls_options *options = NULL;
    subrosa_config *config = new_config(3);
    char line[SUBROSA_KEY_LOG_LINE];
    size_t len = 77;
    subrosa_str why = {NULL, 0}, domain = str("example.com");
    subrosa_str pin = str("sha256/AQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQE=");
    IS(subrosa_config_set_tls_provider(config, 2), SUBROSA_ERR_INVALID);
    IS(subrosa_config_set_tls_provider(config, SUBROSA_TLS_PROVIDER_RING), SUBROSA_OK);
    IS(subrosa_config_add_revocation_pem(config, str("no list"), 0, 0), SUBROSA_ERR_CERTIFICATE);
    IS(subrosa_config_add_revocation_pem(config, str(""), 1, 0), SUBROSA_OK);
    IS(subrosa_config_set_client_certificates(config, 1, domain), SUBROSA_OK);
    IS(subrosa_config_set_key_log(config, 1), SUBROSA_OK);
    IS(subrosa_config_set_tls_versions(config, 0x0302), SUBROSA_ERR_INVALID);
    IS(subrosa_config_set_tls_versions(config, 0x0304), SUBROSA_OK);
    IS(subrosa_config_set_sip_purpose_only(config, 1), SUBROSA_OK);
    IS(subrosa_config_set_key_log(NULL, 1), SUBROSA_ERR_NULL);
    IS(subrosa_config_set_sip_trace(config, 1), SUBROSA_OK);
    IS(subrosa_config_set_sip_trace(NULL, 1), SUBROSA_ERR_NULL);
    subrosa_config_free(config);
    IS(subrosa_engine_tls_options(engine, NULL), SUBROSA_ERR_NULL);
    IS(subrosa_engine_tls_options(engine, &options), SUBROSA_OK);
    IS(subrosa_tls_options_add_pin(options, str("sha256/short")), SUBROSA_ERR_INVALID);
    IS(subrosa_tls_options_last_error(options, &why), SUBROSA_OK);
    CHECK(why.len > 0);
    IS(subrosa_tls_options_add_pin(options, pin), SUBROSA_OK);
    IS(subrosa_tls_options_set_trust_pem(options, str("nonsense")), SUBROSA_ERR_CERTIFICATE);
    IS(subrosa_tls_options_set_trust_pem(options, str("")), SUBROSA_OK);
    IS(subrosa_tls_options_set_identity_pem(options, str("a"), str("b")), SUBROSA_ERR_CERTIFICATE);
    IS(subrosa_tls_options_add_revocation_pem(options, str("no"), 0, 0), SUBROSA_ERR_CERTIFICATE);
    IS(subrosa_engine_set_domain_tls(engine, str("*.example.com"), options), SUBROSA_ERR_INVALID);
    IS(subrosa_engine_set_domain_tls(engine, domain, NULL), SUBROSA_ERR_NULL);
    IS(subrosa_engine_set_domain_tls(NULL, domain, options), SUBROSA_ERR_NULL);
    IS(subrosa_engine_set_domain_tls(engine, domain, options), SUBROSA_OK);
    IS(subrosa_engine_clear_domain_tls(engine, domain), SUBROSA_OK);
    IS(subrosa_engine_clear_domain_tls(engine, domain), SUBROSA_ERR_WRONG_STATE);
    subrosa_tls_options_free(options);
    subrosa_tls_options_free(NULL);
    IS(subrosa_engine_poll_key_log(engine, line, sizeof line - 1, &len), SUBROSA_ERR_INVALID);
    IS(subrosa_engine_poll_key_log(engine, line, sizeof line, NULL), SUBROSA_ERR_NULL);
    CHECK(len == 77);
    IS(subrosa_engine_poll_key_log(engine, line, sizeof line, &len), SUBROSA_OK);
    CHECK(len == 0);
    subrosa_sip_trace trace = {.size = sizeof trace};
    IS(subrosa_engine_poll_sip_trace(engine, NULL), SUBROSA_ERR_NULL);
    IS(subrosa_engine_poll_sip_trace(engine, &trace), SUBROSA_OK);
    CHECK(trace.text.len == 0);
}

static void identities(void) {
    subrosa_config *config = new_config(5);
    subrosa_dtls_identity *identity = NULL, *again = NULL;
    subrosa_str fingerprint = {NULL, 0}, same = {NULL, 0};
    uint8_t kept[1024], certificate[1024];
    size_t len = 0, used = 0;
    IS(subrosa_dtls_identity_generate(NULL, &identity), SUBROSA_ERR_NULL);
    IS(subrosa_dtls_identity_generate(config, NULL), SUBROSA_ERR_NULL);
    IS(subrosa_dtls_identity_generate(config, &identity), SUBROSA_OK);
    IS(subrosa_dtls_identity_fingerprint(identity, &fingerprint), SUBROSA_OK);
    CHECK(fingerprint.len == 8 + 95 && !memcmp(fingerprint.ptr, "sha-256 ", 8));
    IS(subrosa_dtls_identity_export(identity, NULL, 0, &len), SUBROSA_OK);
    CHECK(len > 200 && len <= sizeof kept);
    memset(kept, 0xaa, sizeof kept);
    IS(subrosa_dtls_identity_export(identity, kept, len - 1, &used), SUBROSA_ERR_LIMIT);
    CHECK(used == 0 && kept[0] == 0xaa);
    IS(subrosa_dtls_identity_export(identity, kept, len, &used), SUBROSA_OK);
    CHECK(used == len && kept[0] != 0xaa && (len == sizeof kept || kept[len] == 0xaa));
    IS(subrosa_dtls_identity_import(kept, len - 1, &again), SUBROSA_ERR_CERTIFICATE);
    IS(subrosa_dtls_identity_import(NULL, 0, &again), SUBROSA_ERR_CERTIFICATE);
    kept[5] ^= 1; /* the key */
    IS(subrosa_dtls_identity_import(kept, len, &again), SUBROSA_ERR_CERTIFICATE);
    CHECK(again == NULL);
    kept[5] ^= 1;
    IS(subrosa_dtls_identity_import(kept, len, &again), SUBROSA_OK);
    IS(subrosa_dtls_identity_fingerprint(again, &same), SUBROSA_OK);
    CHECK(same.len == fingerprint.len && !memcmp(same.ptr, fingerprint.ptr, same.len));
    IS(subrosa_dtls_identity_certificate(again, certificate, sizeof certificate, &used), SUBROSA_OK);
    CHECK(used > 100 && certificate[0] == 0x30);
    subrosa_dtls_identity_free(again);
    again = NULL;
    IS(subrosa_dtls_identity_from_der(certificate, used, kept, 40, &again), SUBROSA_ERR_CERTIFICATE);
    CHECK(again == NULL);
    IS(subrosa_config_set_dtls_identity(config, NULL), SUBROSA_ERR_NULL);
    IS(subrosa_config_set_dtls_identity(NULL, identity), SUBROSA_ERR_NULL);
    IS(subrosa_config_set_dtls_identity(config, identity), SUBROSA_OK);
    subrosa_dtls_identity_free(identity);
    subrosa_dtls_identity_free(NULL);
    memset(kept, 0, sizeof kept);
    subrosa_config_free(config);
}

static void new_identity(subrosa_config *config, char *fingerprint, size_t room) {
    subrosa_dtls_identity *identity = NULL;
    subrosa_str text;
    IS(subrosa_dtls_identity_generate(config, &identity), SUBROSA_OK);
    IS(subrosa_dtls_identity_fingerprint(identity, &text), SUBROSA_OK);
    CHECK(text.len < room);
    memcpy(fingerprint, text.ptr, text.len);
    fingerprint[text.len] = 0;
    subrosa_dtls_identity_free(identity);
}

static void peers(void) {
    subrosa_config *config = new_config(7);
    subrosa_peer_memory *memory = NULL, *again = NULL;
    subrosa_verdict verdict = {.size = sizeof verdict};
    subrosa_str bob = str("sip:bob@example.com");
    char first[128], second[128];
    uint8_t kept[512];
    size_t len = 0;
    uint64_t at = 1;
    int32_t yes = -1;
    new_identity(config, first, sizeof first);
    new_identity(config, second, sizeof second);
    subrosa_config_free(config);
    IS(subrosa_peer_memory_new(&memory), SUBROSA_OK);
    IS(subrosa_peer_memory_forget(memory, bob), SUBROSA_ERR_UNKNOWN_ID);
    IS(subrosa_peer_memory_note(memory, bob, 9, str(first), 5, &verdict), SUBROSA_ERR_INVALID);
    IS(subrosa_peer_memory_note(memory, bob, 1, str("sha-256 A"), 5, &verdict), SUBROSA_ERR_INVALID);
    IS(subrosa_peer_memory_note(memory, bob, SUBROSA_LEVEL_ENCRYPTED_UNAUTHENTICATED, str(first), 5,
                                &verdict), SUBROSA_OK);
    CHECK(verdict.downgrade == SUBROSA_LEVEL_NONE && !verdict.identity_changed && !verdict.verified);
    IS(subrosa_peer_memory_verified_at(memory, bob, &at), SUBROSA_OK);
    CHECK(at == 0);
    IS(subrosa_peer_memory_confirm(memory, bob, str(first), 77), SUBROSA_OK);
    IS(subrosa_peer_memory_export(memory, NULL, 0, &len), SUBROSA_OK);
    CHECK(len > 60 && len <= sizeof kept);
    IS(subrosa_peer_memory_export(memory, kept, len - 1, &len), SUBROSA_ERR_LIMIT);
    IS(subrosa_peer_memory_export(memory, kept, sizeof kept, &len), SUBROSA_OK);
    subrosa_peer_memory_free(memory);
    IS(subrosa_peer_memory_import(kept, len - 1, &again), SUBROSA_ERR_INVALID);
    CHECK(again == NULL);
    IS(subrosa_peer_memory_import(kept, len, &again), SUBROSA_OK);
    IS(subrosa_peer_memory_len(again, &len), SUBROSA_OK);
    IS(subrosa_peer_memory_verified_at(again, bob, &at), SUBROSA_OK);
    CHECK(len == 1 && at == 77);
    IS(subrosa_peer_memory_is_confirmed(again, bob, str(first), &yes), SUBROSA_OK);
    CHECK(yes == 1);
    IS(subrosa_peer_memory_is_confirmed(again, bob, str(second), &yes), SUBROSA_OK);
    CHECK(yes == 0);
    /* Somebody else, and then nobody's certificate. */
    IS(subrosa_peer_memory_note(again, bob, SUBROSA_LEVEL_ENCRYPTED_TO_PROVIDER, str(second), 80,
                                &verdict), SUBROSA_OK);
    CHECK(verdict.downgrade == SUBROSA_LEVEL_VERIFIED_END_TO_END && verdict.identity_changed);
    IS(subrosa_peer_memory_note(again, bob, SUBROSA_LEVEL_PLAIN, str(""), 81, &verdict), SUBROSA_OK);
    CHECK(verdict.downgrade == SUBROSA_LEVEL_VERIFIED_END_TO_END && !verdict.verified);
    IS(subrosa_peer_memory_forget(again, bob), SUBROSA_OK);
    subrosa_peer_memory_free(again);
    subrosa_peer_memory_free(NULL);
}

/* Alice and Bob compare, by voice and by camera; Mallory is in the middle of another call. */
static void safety_numbers(void) {
    subrosa_config *config = new_config(6);
    subrosa_safety_number *alice = NULL, *bob = NULL, *odd = NULL, *attacked = NULL;
    subrosa_str a = str("sip:alice@example.com"), b = str("sip:bob@example.com"), said, heard;
    char alices[128], bobs[128], mallorys[128];
    uint8_t code[SUBROSA_SAFETY_NUMBER_SCAN_LEN];
    size_t len = 0;
    new_identity(config, alices, sizeof alices);
    new_identity(config, bobs, sizeof bobs);
    new_identity(config, mallorys, sizeof mallorys);
    subrosa_config_free(config);
    IS(subrosa_safety_number_new(str("sha-1 AB"), a, str(bobs), b, &odd), SUBROSA_ERR_INVALID);
    IS(subrosa_safety_number_new(str(alices), str(""), str(bobs), b, &odd), SUBROSA_ERR_INVALID);
    CHECK(odd == NULL);
    IS(subrosa_safety_number_new(str(alices), a, str(bobs), b, &alice), SUBROSA_OK);
    IS(subrosa_safety_number_new(str(bobs), b, str(alices), a, &bob), SUBROSA_OK);
    IS(subrosa_safety_number_new(str(bobs), b, str(mallorys), a, &attacked), SUBROSA_OK);
    IS(subrosa_safety_number_digits(alice, &said), SUBROSA_OK);
    IS(subrosa_safety_number_digits(bob, &heard), SUBROSA_OK);
    CHECK(said.len == 71 && heard.len == 71 && !memcmp(said.ptr, heard.ptr, 71));
    IS(subrosa_safety_number_verify_digits(bob, said), SUBROSA_OK);
    IS(subrosa_safety_number_verify_digits(attacked, said), SUBROSA_ERR_MISMATCH);
    said.len--;
    IS(subrosa_safety_number_verify_digits(bob, said), SUBROSA_ERR_MISMATCH);
    IS(subrosa_safety_number_scan_payload(alice, code, sizeof code - 1, &len), SUBROSA_ERR_LIMIT);
    IS(subrosa_safety_number_scan_payload(alice, code, sizeof code, &len), SUBROSA_OK);
    CHECK(len == sizeof code);
    IS(subrosa_safety_number_verify_scanned(bob, code, len), SUBROSA_OK);
    /* Her own code does not prove anything to herself. */
    IS(subrosa_safety_number_verify_scanned(alice, code, len), SUBROSA_ERR_MISMATCH);
    IS(subrosa_safety_number_verify_scanned(attacked, code, len), SUBROSA_ERR_MISMATCH);
    IS(subrosa_safety_number_last_error(attacked, &heard), SUBROSA_OK);
    CHECK(memmem(heard.ptr, heard.len, "between", 7));
    IS(subrosa_safety_number_verify_scanned(bob, code, len - 1), SUBROSA_ERR_INVALID);
    code[0]++;
    IS(subrosa_safety_number_verify_scanned(bob, code, len), SUBROSA_ERR_NOT_SUPPORTED);
    subrosa_safety_number_free(alice);
    subrosa_safety_number_free(bob);
    subrosa_safety_number_free(attacked);
    subrosa_safety_number_free(NULL);
}

static void statistics(subrosa_engine *engine) {
    subrosa_engine_stats stats = {.size = sizeof stats};
    subrosa_str reason = {NULL, 0};
    IS(subrosa_engine_get_stats(engine, &stats), SUBROSA_OK);
    CHECK(stats.size == sizeof stats && stats.received == 0);
    IS(subrosa_engine_get_stats(engine, NULL), SUBROSA_ERR_NULL);
    IS(subrosa_engine_get_stats(NULL, &stats), SUBROSA_ERR_NULL);
    subrosa_engine_load load = {.size = sizeof load};
    IS(subrosa_engine_get_load(engine, &load), SUBROSA_OK);
    CHECK(load.accounts == 1);
    for (uint32_t of = SUBROSA_REASON_SIP; of <= SUBROSA_REASON_RED; of++) {
        size_t count = 0;
        subrosa_str name = {NULL, 0};
        while (subrosa_reason_text(of, count, &name) == SUBROSA_OK) {
            CHECK(name.len > 1);
            count++;
        }
        CHECK(count >= 4 && count <= SUBROSA_MAX_REASONS);
    }
    IS(subrosa_reason_text(SUBROSA_REASON_RED + 1, 0, &reason), SUBROSA_ERR_INVALID);
    IS(subrosa_reason_text(SUBROSA_REASON_SIP, 0, NULL), SUBROSA_ERR_NULL);
    IS(subrosa_reason_text(SUBROSA_REASON_SIP, 0, &reason), SUBROSA_OK);
    CHECK(reason.len == 5 && !memcmp(reason.ptr, "empty", 5));
}

/* A struct of a later version of the header: larger than the library knows. */
static void later_versions(subrosa_engine *engine) {
    struct {
        subrosa_engine_stats stats;
        uint64_t news;
    } later = {.news = 42};
    later.stats.size = sizeof later;
    IS(subrosa_engine_get_stats(engine, &later.stats), SUBROSA_OK);
    CHECK(later.stats.size == sizeof later.stats && later.news == 42);
}

int main(void) {
    subrosa_config *config;
    subrosa_engine *engine = NULL;
    versions();
    configs();
    config = new_config(2);
    IS(subrosa_engine_new(config, 0, NULL), SUBROSA_ERR_NULL);
    IS(subrosa_engine_new(config, 0, &engine), SUBROSA_OK);
    subrosa_config_free(config);
    accounts(engine);
    calls(engine);
    inputs(engine);
    policies(engine);
    tls(engine);
    identities();
    safety_numbers();
    peers();
    statistics(engine);
    later_versions(engine);
    subrosa_engine_free(engine);
    subrosa_engine_free(NULL);
    return 0;
}
