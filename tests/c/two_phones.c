/*
 * A call between two phones in one program, on loopback, in real time: each has a thread of its
 * own inside the library. With cert.pem, key.pem and ca.pem in the folder given: TLS and SRTP.
 */
#include "check.h"

#include <pthread.h>
#include <unistd.h>

#include "../../examples/c/wav.h"

#define RATE 16000
#define PATIENCE_MS 60000

static const char *folder;
static int secure;

static subrosa_str in_folder(const char *name) {
    static char path[2][512];
    static int turn;
    char *to = path[turn ^= 1];
    snprintf(to, sizeof path[0], "%s/%s", folder, name);
    return str(to);
}

static char *read_file(const char *name) {
    static char text[3][32768];
    static int turn;
    char *to = text[turn = (turn + 1) % 3];
    FILE *file = fopen(in_folder(name).ptr, "rb");
    if (!file) return NULL;
    to[fread(to, 1, sizeof text[0] - 1, file)] = 0;
    fclose(file);
    return to;
}

static subrosa_phone *new_phone(void) {
    subrosa_config *config = NULL;
    subrosa_phone *phone = NULL;
    subrosa_str why = {NULL, 0};
    IS(subrosa_phone_config_new(&config), SUBROSA_OK);
    IS(subrosa_config_set_local_ip(config, str("127.0.0.1")), SUBROSA_OK);
    IS(subrosa_config_set_dns_servers(config, str("nobody")), SUBROSA_ERR_INVALID);
    IS(subrosa_config_set_dns_servers(config, str("")), SUBROSA_OK);
    if (secure) {
        IS(subrosa_config_set_trust_pem(config, str(read_file("ca.pem"))), SUBROSA_OK);
        IS(subrosa_config_set_identity_pem(config, str(read_file("cert.pem")),
                                           str(read_file("key.pem"))), SUBROSA_OK);
        IS(subrosa_config_set_listen_tls(config, str("127.0.0.1:0")), SUBROSA_OK);
    }
    if (subrosa_phone_new(config, &phone) != SUBROSA_OK) {
        subrosa_config_last_error(config, &why);
        fprintf(stderr, "%.*s\n", (int)why.len, why.ptr);
        exit(1);
    }
    IS(subrosa_phone_new(config, &phone), SUBROSA_ERR_WRONG_STATE); /* used up */
    subrosa_config_free(config);
    return phone;
}

/* Waits for an event of this kind; others are passed over. */
static subrosa_output await(subrosa_phone *phone, int32_t kind) {
    subrosa_output o = {.size = sizeof o};
    for (;;) {
        IS(subrosa_phone_next_event(phone, PATIENCE_MS, &o), SUBROSA_OK);
        CHECK(o.kind == SUBROSA_OUTPUT_EVENT); /* else nothing came in a minute */
        if (o.event.kind == kind) return o;
    }
}

static uint16_t listening_port(subrosa_phone *phone) {
    for (;;) {
        subrosa_output o = await(phone, SUBROSA_EVENT_LISTENING);
        if ((o.event.transport == SUBROSA_TRANSPORT_TLS) == secure) return o.event.addr.port;
    }
}

static uint64_t account(subrosa_phone *phone, const char *aor) {
    subrosa_account_config *config = NULL;
    subrosa_account_info info = {.size = sizeof info};
    uint64_t id = 0;
    /* In the clear on purpose: a domain without policy would encrypt where it can. */
    if (!secure)
        IS(subrosa_phone_set_domain_policy(phone, str(strchr(aor, '@') + 1), SUBROSA_POLICY_OFF),
           SUBROSA_OK);
    IS(subrosa_account_config_new(str(aor), &config), SUBROSA_OK);
    IS(subrosa_account_config_set_register(config, 0), SUBROSA_OK);
    IS(subrosa_account_config_set_policy(config, secure ? SUBROSA_POLICY_REQUIRED
                                                        : SUBROSA_POLICY_OFF), SUBROSA_OK);
    IS(subrosa_phone_add_account(phone, config, &id), SUBROSA_OK);
    subrosa_account_config_free(config);
    IS(subrosa_phone_account(phone, id, &info), SUBROSA_OK);
    CHECK(info.state == SUBROSA_ACCOUNT_UNREGISTERED && info.aor.len == strlen(aor));
    return id;
}

/* A wave of this period, so that each side's voice can be told from the other's. */
static void wave(int16_t *pcm, size_t count, unsigned period) {
    for (size_t i = 0; i < count; i++) pcm[i] = i % period < period / 2 ? 6000 : -6000;
}

/* How often the sign changes per second, in the middle of a second of sound. */
static unsigned changes(const int16_t *pcm, size_t count) {
    unsigned n = 0;
    int last = 0;
    for (size_t i = 0; i < count; i++) {
        int sign = pcm[i] > 1000 ? 1 : pcm[i] < -1000 ? -1 : last;
        n += last && sign != last;
        last = sign;
    }
    return n;
}

/* Another thread may wait for events while this one commands. */
static void *wait_elsewhere(void *handle) {
    subrosa_output o = {.size = sizeof o};
    subrosa_status status = SUBROSA_OK;
    while (status == SUBROSA_OK) status = subrosa_phone_next_event(handle, PATIENCE_MS, &o);
    IS(status, SUBROSA_ERR_STOPPED);
    subrosa_phone_free(handle);
    return NULL;
}

static void misuse(subrosa_phone *phone, uint64_t from) {
    subrosa_call_audio *audio = NULL;
    subrosa_audio_ring *ring = NULL;
    subrosa_call_options options = {.size = sizeof options};
    subrosa_call_info info = {.size = sizeof info};
    subrosa_output o = {.size = 4};
    subrosa_str why = {NULL, 0};
    uint64_t call = 7;
    IS(subrosa_phone_next_event(phone, 0, &o), SUBROSA_ERR_STRUCT_SIZE);
    IS(subrosa_phone_hang_up(phone, 99), SUBROSA_ERR_UNKNOWN_ID);
    IS(subrosa_phone_last_error(phone, &why), SUBROSA_OK);
    CHECK(why.len > 5);
    IS(subrosa_phone_call(phone, 99, &info), SUBROSA_ERR_UNKNOWN_ID);
    IS(subrosa_phone_place_call(phone, from, str("tel:+1"), NULL, NULL, &call), SUBROSA_ERR_URI);
    IS(subrosa_phone_place_call(phone, 0, str("sip:b@192.0.2.1"), NULL, NULL, &call),
       SUBROSA_ERR_UNKNOWN_ID);
    CHECK(call == 7);
    IS(subrosa_audio_ring_new(0, 0, &ring), SUBROSA_ERR_INVALID);
    IS(subrosa_call_audio_new(1, &audio), SUBROSA_ERR_INVALID);
    IS(subrosa_call_audio_new(48000, &audio), SUBROSA_OK);
    IS(subrosa_call_audio_set_source_wav(audio, str("/no/such.wav"), 0), SUBROSA_ERR_FILE);
    IS(subrosa_call_audio_last_error(audio, &why), SUBROSA_OK);
    CHECK(memmem(why.ptr, why.len, "/no/such.wav", 12));
    IS(subrosa_call_audio_set_source_ring(audio, NULL), SUBROSA_ERR_NULL);
    /* 48 kHz audio, 16 kHz options. */
    IS(subrosa_phone_place_call(phone, from, str("sip:b@192.0.2.1"), NULL, audio, &call),
       SUBROSA_ERR_INVALID);
    IS(subrosa_call_options_init(&options), SUBROSA_OK);
    options.sample_rate = 48000;
    options.policy = 9;
    IS(subrosa_phone_place_call(phone, from, str("sip:b@192.0.2.1"), &options, audio, &call),
       SUBROSA_ERR_INVALID);
    IS(subrosa_phone_attach_audio(phone, 99, audio), SUBROSA_OK);
    IS(subrosa_phone_attach_audio(phone, 99, audio), SUBROSA_ERR_WRONG_STATE); /* used up */
    subrosa_call_audio_free(audio);
}

static void check_security(subrosa_phone *phone, uint64_t call) {
    subrosa_security_report report = {.size = sizeof report};
    /* Keys by DTLS come a while after the call is established. */
    for (int i = 0; i < PATIENCE_MS / 20 && !report.media_agreed; i++) {
        report.size = sizeof report;
        IS(subrosa_phone_call_security(phone, call, &report), SUBROSA_OK);
        if (!report.media_agreed) usleep(20000);
    }
    CHECK(report.padlock == (secure ? SUBROSA_PADLOCK_ENCRYPTED_TO_PROVIDER
                                    : SUBROSA_PADLOCK_NONE));
    CHECK(report.media_agreed && report.text.len);
    if (secure) CHECK(report.tls_version >= 0x0303 && report.srtp_suite_out.len);
}

/* Whether the last tenth of a second of what comes is loud, after so many samples. */
static int is_loud(subrosa_audio_ring *ring, size_t samples) {
    int16_t pcm[RATE / 10];
    int loud = 0;
    size_t n;
    while (samples) {
        IS(subrosa_audio_ring_len(ring, &n), SUBROSA_OK);
        if (n < RATE / 10) {
            usleep(5000);
            continue;
        }
        IS(subrosa_audio_ring_pop(ring, pcm, RATE / 10, &n), SUBROSA_OK);
        loud = 0;
        for (size_t i = 0; i < n; i++) loud |= pcm[i] > 1000 || pcm[i] < -1000;
        samples -= samples < n ? samples : n;
    }
    return loud;
}

/* What comes becomes loud, or quiet, within some seconds of sound. */
static void settles(subrosa_audio_ring *ring, int loud) {
    int tenths = 200;
    while (is_loud(ring, RATE / 10) != loud) CHECK(tenths--);
}

static subrosa_call_info info_of(subrosa_phone *phone, uint64_t call) {
    subrosa_call_info info = {.size = sizeof info};
    IS(subrosa_phone_call(phone, call, &info), SUBROSA_OK);
    return info;
}

/* Mute, gain and processing: what each does, and that it is told. `hears` is what Alice hears. */
static void controls(subrosa_phone *alice, uint64_t call, subrosa_phone *bob, uint64_t incoming,
                     subrosa_audio_ring *hears) {
    subrosa_processing_stats stats = {.size = sizeof stats};
    subrosa_call_levels levels = {.size = sizeof levels};
    subrosa_call_info info = info_of(alice, call);
    CHECK(!info.muted && info.send_gain_db == 0 && info.receive_gain_db == 0);
    CHECK(info.processing == SUBROSA_PROCESSING_OFF);
    settles(hears, 1);
    IS(subrosa_phone_levels(alice, call, &levels), SUBROSA_OK);
    CHECK(levels.received_rms_dbfs > -30);
    IS(subrosa_phone_mute(bob, incoming, 1), SUBROSA_OK);
    settles(hears, 0);
    CHECK(info_of(bob, incoming).muted == 1);
    IS(subrosa_phone_mute(bob, incoming, 0), SUBROSA_OK);
    settles(hears, 1);
    IS(subrosa_phone_set_send_gain(bob, incoming, -40), SUBROSA_OK);
    settles(hears, 0);
    info = info_of(bob, incoming);
    CHECK(!info.muted && info.send_gain_db == -40 && info.receive_gain_db == 0);
    IS(subrosa_phone_set_send_gain(bob, incoming, 0), SUBROSA_OK);
    settles(hears, 1);
    IS(subrosa_phone_set_receive_gain(alice, call, -40), SUBROSA_OK);
    settles(hears, 0);
    info = info_of(alice, call);
    CHECK(info.send_gain_db == 0 && info.receive_gain_db == -40);
    IS(subrosa_phone_set_receive_gain(alice, call, 0), SUBROSA_OK);
    settles(hears, 1);
    IS(subrosa_phone_processing_stats(alice, call, &stats), SUBROSA_ERR_NO_MEDIA);
    IS(subrosa_phone_set_processing(alice, call, 32), SUBROSA_ERR_INVALID);
    IS(subrosa_phone_set_processing(alice, call, SUBROSA_PROCESSING_HIGH_PASS), SUBROSA_OK);
    CHECK(info_of(alice, call).processing == SUBROSA_PROCESSING_HIGH_PASS);
    IS(subrosa_phone_processing_stats(alice, call, &stats), SUBROSA_OK);
    CHECK(stats.voice_active == 1);
    IS(subrosa_phone_set_processing(alice, call, SUBROSA_PROCESSING_OFF), SUBROSA_OK);
}

/* Another codec and packet length in the middle of the call. */
static void renegotiates(subrosa_phone *alice, uint64_t call, subrosa_audio_ring *hears) {
    subrosa_audio_options audio = {.size = sizeof audio};
    subrosa_media_stats before = {.size = sizeof before}, after = {.size = sizeof after};
    subrosa_encoding encoding = {.size = sizeof encoding};
    int32_t codec = SUBROSA_CODEC_PCMA;
    subrosa_status status;
    int tenths = 200;
    IS(subrosa_phone_restart_sending(alice, call), SUBROSA_ERR_WRONG_STATE);
    IS(subrosa_phone_set_codecs(alice, call, &codec, 0), SUBROSA_ERR_INVALID);
    CHECK(info_of(alice, call).codec != SUBROSA_CODEC_PCMA);
    IS(subrosa_phone_set_codecs(alice, call, &codec, 1), SUBROSA_OK);
    while (info_of(alice, call).codec != SUBROSA_CODEC_PCMA) {
        CHECK(tenths--);
        is_loud(hears, RATE / 10);
    }
    IS(subrosa_audio_options_init(&audio), SUBROSA_OK);
    audio.ptime_ms = 60;
    IS(subrosa_phone_set_audio(alice, call, &audio), SUBROSA_OK);
    while ((status = subrosa_phone_renegotiate(alice, call)) == SUBROSA_ERR_BUSY) usleep(5000);
    IS(status, SUBROSA_OK);
    settles(hears, 1);
    is_loud(hears, RATE); /* The answer is there, and what was on its way is played. */
    IS(subrosa_phone_call_media_stats(alice, call, &before), SUBROSA_OK);
    CHECK(is_loud(hears, 3 * RATE));
    IS(subrosa_phone_call_media_stats(alice, call, &after), SUBROSA_OK);
    /* 3 s are 50 packets of 60 ms, or 150 of 20 ms. */
    CHECK(after.packets_received - before.packets_received < 100);
    CHECK(after.packets_received - before.packets_received > 25);
    IS(subrosa_phone_encoding(alice, call, &encoding), SUBROSA_OK);
    CHECK(encoding.codec == SUBROSA_CODEC_PCMA && encoding.payload_type == 8);
    CHECK(encoding.ptime_ms == 20); /* What Bob asks for. */
    IS(subrosa_phone_encoding(alice, 99, &encoding), SUBROSA_ERR_UNKNOWN_ID);
}

static int told;

static void on_log(void *user, uint64_t at, int32_t level, subrosa_str target, subrosa_str text) {
    CHECK(at && level >= SUBROSA_LOG_ERROR && level <= SUBROSA_LOG_INFO && target.len);
    CHECK(pthread_equal(*(pthread_t *)user, pthread_self())); /* on the thread that waits */
    if (memmem(text.ptr, text.len, "ended: we hung up", 17)) told++;
}

int main(int argc, char **argv) {
    static int16_t pcm[RATE];
    subrosa_call_info info = {.size = sizeof info};
    subrosa_media_stats media = {.size = sizeof media};
    subrosa_engine_stats stats = {.size = sizeof stats};
    subrosa_driver_stats driver = {.size = sizeof driver};
    subrosa_call_audio *alice_audio = NULL, *bob_audio = NULL;
    subrosa_audio_ring *says = NULL, *hears = NULL;
    subrosa_phone *waiting = NULL;
    struct wav_recorder said;
    struct wav_player heard;
    const char *problem;
    char to[64];
    size_t n, ids = 0;
    uint64_t call, incoming, before, after;
    pthread_t thread;
    CHECK(argc == 2);
    folder = argv[1];
    secure = read_file("cert.pem") != NULL;
    subrosa_phone *alice = new_phone(), *bob = new_phone();
    uint16_t port = listening_port(bob);
    uint64_t from = account(alice, "sip:alice@localhost");
    account(bob, "sip:bob@localhost");
    pthread_t self = pthread_self();
    IS(subrosa_phone_set_logger(alice, SUBROSA_LOG_INFO, on_log, &self), SUBROSA_OK);
    misuse(alice, from);

    /* Alice speaks and hears through rings, Bob through files. */
    wave(pcm, RATE, 32); /* 500 Hz */
    IS(subrosa_audio_ring_new(RATE * 30, 0, &says), SUBROSA_OK);
    IS(subrosa_audio_ring_new(RATE * 30, 0, &hears), SUBROSA_OK);
    for (int second = 0; second < 10; second++)
        IS(subrosa_audio_ring_push(says, pcm, RATE, &n), SUBROSA_OK);
    CHECK(n == RATE);
    IS(subrosa_call_audio_new(RATE, &alice_audio), SUBROSA_OK);
    IS(subrosa_call_audio_set_source_ring(alice_audio, says), SUBROSA_OK);
    IS(subrosa_call_audio_set_sink_ring(alice_audio, hears), SUBROSA_OK);
    CHECK(!wav_create(&said, in_folder("phones_say.wav").ptr, RATE));
    wave(pcm, RATE, 16); /* 1000 Hz */
    CHECK(!wav_record(&said, pcm, RATE) && !wav_finish(&said));
    IS(subrosa_call_audio_new(RATE, &bob_audio), SUBROSA_OK);
    IS(subrosa_call_audio_set_source_wav(bob_audio, in_folder("phones_say.wav"), 1), SUBROSA_OK);
    IS(subrosa_call_audio_set_sink_wav(bob_audio, in_folder("phones_heard.wav")), SUBROSA_OK);

    snprintf(to, sizeof to, "sip:bob@localhost:%u%s", port, secure ? ";transport=tls" : "");
    IS(subrosa_phone_now(alice, &before), SUBROSA_OK);
    IS(subrosa_phone_place_call(alice, from, str(to), NULL, alice_audio, &call), SUBROSA_OK);
    subrosa_call_audio_free(alice_audio);
    incoming = await(bob, SUBROSA_EVENT_INCOMING_CALL).event.call;
    IS(subrosa_phone_ring(bob, incoming), SUBROSA_OK);
    CHECK(await(alice, SUBROSA_EVENT_CALL_PROGRESS).event.sip_status == 180);
    IS(subrosa_phone_accept(bob, incoming, NULL, bob_audio), SUBROSA_OK);
    subrosa_call_audio_free(bob_audio);
    await(alice, SUBROSA_EVENT_CALL_ESTABLISHED);
    await(bob, SUBROSA_EVENT_CALL_ESTABLISHED);
    IS(subrosa_phone_accept(bob, incoming, NULL, NULL), SUBROSA_ERR_WRONG_STATE);
    check_security(alice, call);
    IS(subrosa_phone_call(alice, call, &info), SUBROSA_OK);
    CHECK(info.state == SUBROSA_CALL_ESTABLISHED && info.outgoing && info.codec);
    IS(subrosa_phone_send_dtmf(alice, call, '5', 100), SUBROSA_OK);
    CHECK(await(bob, SUBROSA_EVENT_DTMF_RECEIVED).event.digit == '5');

    /* What Bob says is heard: 1000 Hz. */
    IS(subrosa_audio_ring_len(hears, &n), SUBROSA_OK);
    while (n < 3 * RATE) {
        usleep(20000);
        IS(subrosa_audio_ring_len(hears, &n), SUBROSA_OK);
    }
    for (int second = 0; second < 3; second++)
        IS(subrosa_audio_ring_pop(hears, pcm, RATE, &n), SUBROSA_OK);
    CHECK(n == RATE);
    n = changes(pcm, RATE);
    CHECK(n > 1800 && n < 2200);
    IS(subrosa_phone_call_media_stats(alice, call, &media), SUBROSA_OK);
    CHECK(media.packets_sent > 50 && media.packets_received > 50 && !media.refused);

    IS(subrosa_phone_hold(alice, call), SUBROSA_OK);
    CHECK(await(bob, SUBROSA_EVENT_CALL_MEDIA_CHANGED).event.remote_hold == 1);
    await(alice, SUBROSA_EVENT_CALL_MEDIA_CHANGED);
    IS(subrosa_phone_resume(alice, call), SUBROSA_OK);
    CHECK(await(bob, SUBROSA_EVENT_CALL_MEDIA_CHANGED).event.remote_hold == 0);
    await(alice, SUBROSA_EVENT_CALL_MEDIA_CHANGED);
    controls(alice, call, bob, incoming, hears);
    renegotiates(alice, call, hears);
    IS(subrosa_phone_play_wav(alice, call, in_folder("phones_say.wav"), RATE, 0), SUBROSA_OK);
    IS(subrosa_phone_play_ring(alice, call, says), SUBROSA_OK);
    IS(subrosa_phone_record_wav(alice, call, in_folder("phones_more.wav"), RATE), SUBROSA_OK);
    IS(subrosa_phone_record_ring(alice, call, hears), SUBROSA_OK);

    IS(subrosa_phone_hang_up(alice, call), SUBROSA_OK);
    CHECK(await(alice, SUBROSA_EVENT_CALL_ENDED).event.end_reason == SUBROSA_END_LOCAL_HANG_UP);
    CHECK(await(bob, SUBROSA_EVENT_CALL_ENDED).event.end_reason == SUBROSA_END_REMOTE_HANG_UP);
    CHECK(told == 1);
    IS(subrosa_phone_now(alice, &after), SUBROSA_OK);
    CHECK(after > before + 2000000);

    /* What Alice said is in Bob's file, complete now: 500 Hz. A busy machine makes gaps, so one of
       the first seconds will do. */
    CHECK(!wav_open(&heard, in_folder("phones_heard.wav").ptr, &problem) && heard.rate == RATE);
    n = 0;
    for (int second = 0; second < 8 && (n <= 900 || n >= 1100); second++) {
        wav_play(&heard, pcm, RATE);
        n = changes(pcm, RATE);
    }
    wav_close(&heard);
    CHECK(n > 900 && n < 1100);

    /* A second call, refused. */
    IS(subrosa_phone_place_call(alice, from, str(to), NULL, NULL, &call), SUBROSA_OK);
    incoming = await(bob, SUBROSA_EVENT_INCOMING_CALL).event.call;
    IS(subrosa_phone_reject(bob, incoming, 99), SUBROSA_ERR_INVALID);
    IS(subrosa_phone_reject(bob, incoming, 486), SUBROSA_OK);
    CHECK(await(alice, SUBROSA_EVENT_CALL_ENDED).event.sip_status == 486);
    IS(subrosa_phone_call_ids(alice, NULL, 0, &ids), SUBROSA_OK);
    CHECK(ids == 2);
    IS(subrosa_phone_forget_call(alice, call), SUBROSA_OK);
    IS(subrosa_phone_call(alice, call, &info), SUBROSA_ERR_UNKNOWN_ID);
    IS(subrosa_phone_network_changed(alice), SUBROSA_OK);
    IS(subrosa_phone_get_stats(alice, &stats), SUBROSA_OK);
    CHECK(stats.sent > 4 && stats.received > 4 && !stats.malformed);
    IS(subrosa_phone_driver_stats(alice, &driver), SUBROSA_OK);
    CHECK(driver.size == sizeof driver && !driver.events_dropped);

    /* Another thread waits on a handle of its own, until the phone is stopped. */
    IS(subrosa_phone_clone(alice, &waiting), SUBROSA_OK);
    CHECK(!pthread_create(&thread, NULL, wait_elsewhere, waiting));
    IS(subrosa_phone_remove_account(alice, from), SUBROSA_OK);
    IS(subrosa_phone_stop(alice), SUBROSA_OK);
    CHECK(!pthread_join(thread, NULL));
    IS(subrosa_phone_hang_up(alice, call), SUBROSA_ERR_STOPPED);
    subrosa_audio_ring_free(says);
    subrosa_audio_ring_free(hears);
    subrosa_phone_free(alice);
    IS(subrosa_phone_stop(bob), SUBROSA_OK);
    subrosa_phone_free(bob);
    subrosa_phone_free(NULL);
    return 0;
}
