/*
 * A secure call between two engines in one program: one exchanges encoded frames, as a phone does
 * whose DSP has the codec, the other one PCM. What one says the other one hears; mistakes are told.
 */
#include "pair.h"

/* Mu-law of silence and of the loudest sample. */
#define QUIET 0xff
#define LOUD 0x80

static int changes;

static void on_event(struct phone *p, const subrosa_event *e) {
    switch (e->kind) {
    case SUBROSA_EVENT_INCOMING_CALL:
        p->call = e->call;
        IS(subrosa_call_accept(p->engine, now, e->call, NULL), SUBROSA_OK);
        break;
    case SUBROSA_EVENT_CALL_ESTABLISHED: p->established++; break;
    case SUBROSA_EVENT_CALL_ENDED: p->ended++; break;
    case SUBROSA_EVENT_ENCODING_CHANGED:
        CHECK(p == &alice && e->call == alice.call);
        changes++;
        break;
    default: break;
    }
}

static void on_update(struct phone *p, const subrosa_output *o) {
    (void)p, (void)o;
    CHECK(!"nobody took the media");
}

static void receive(struct phone *to, uint64_t socket, subrosa_addr from, uint8_t *bytes,
                    size_t len) {
    subrosa_engine_handle_datagram(to->engine, now, socket, from, bytes, len);
}

static subrosa_encoding encoding(void) {
    subrosa_encoding e = {.size = sizeof e};
    IS(subrosa_call_encoding(alice.engine, alice.call, &e), SUBROSA_OK);
    return e;
}

static subrosa_status give(int32_t codec, uint32_t samples, uint8_t byte, size_t len) {
    uint8_t payload[SUBROSA_MAX_PAYLOAD + 1];
    memset(payload, byte, sizeof payload);
    subrosa_frame_to_send frame = {.size = sizeof frame, .codec = codec, .samples = samples,
                                   .payload = len ? payload : NULL, .payload_len = len};
    return subrosa_call_write_frame(alice.engine, now, alice.call, &frame);
}

static subrosa_encoded_frame take(uint8_t *payload) {
    subrosa_encoded_frame frame = {.size = sizeof frame};
    IS(subrosa_call_read_frame(alice.engine, now, alice.call, payload, SUBROSA_MAX_PAYLOAD, &frame),
       SUBROSA_OK);
    return frame;
}

/* What alice was given, by SUBROSA_FRAME_. */
static int given[5];
static int32_t told_codec;

/* 20 ms of both: alice sends these bytes of this codec, bob what is loud and quiet in turn. */
static void frame(int32_t codec, uint32_t samples, uint8_t byte) {
    int16_t pcm[FRAME];
    uint8_t payload[SUBROSA_MAX_PAYLOAD];
    now += 20000;
    if (alice.wake_at <= now) IS(subrosa_engine_handle_timeout(alice.engine, now), SUBROSA_OK);
    if (bob.wake_at <= now) IS(subrosa_engine_handle_timeout(bob.engine, now), SUBROSA_OK);
    if (codec != SUBROSA_CODEC_NONE) IS(give(codec, samples, byte, 160), SUBROSA_OK);
    for (int i = 0; i < FRAME; i++) pcm[i] = (i / 16) % 2 ? 9000 : -9000;
    IS(subrosa_call_write_pcm(bob.engine, now, bob.call, pcm, FRAME), SUBROSA_OK);
    settle();
    for (int turn = 0; turn < 2; turn++) {
        subrosa_encoded_frame f = take(payload);
        given[f.kind]++;
        if (f.kind == SUBROSA_FRAME_NEW_CODEC) {
            CHECK(f.samples == 0 && f.payload == 0);
            told_codec = f.codec;
            continue;
        }
        if (f.kind == SUBROSA_FRAME_AUDIO) {
            CHECK(f.codec == told_codec && f.payload == 160);
            CHECK(f.samples == (f.codec == SUBROSA_CODEC_G722 ? 320 : 160));
            CHECK(f.sample_rate == (f.codec == SUBROSA_CODEC_G722 ? 16000 : 8000));
        }
        break;
    }
    IS(subrosa_call_read_pcm(bob.engine, now, bob.call, pcm, FRAME), SUBROSA_OK);
    bob.energy = 0;
    for (int i = 0; i < FRAME; i++) bob.energy += (int64_t)pcm[i] * pcm[i];
}

static void refusals(void) {
    int16_t pcm[FRAME] = {0};
    uint8_t payload[SUBROSA_MAX_PAYLOAD];
    subrosa_encoded_frame f = {.size = sizeof f};
    subrosa_frame_to_send none = {.size = 4};
    IS(subrosa_call_write_pcm(alice.engine, now, alice.call, pcm, FRAME), SUBROSA_ERR_AUDIO_MODE);
    IS(subrosa_call_read_pcm(alice.engine, now, alice.call, pcm, FRAME), SUBROSA_ERR_AUDIO_MODE);
    IS(subrosa_call_read_frame(bob.engine, now, bob.call, payload, sizeof payload, &f),
       SUBROSA_ERR_AUDIO_MODE);
    IS(subrosa_call_read_frame(alice.engine, now, alice.call, payload, sizeof payload - 1, &f),
       SUBROSA_ERR_INVALID);
    IS(subrosa_call_read_frame(alice.engine, now, alice.call, NULL, sizeof payload, &f),
       SUBROSA_ERR_NULL);
    IS(subrosa_call_write_frame(alice.engine, now, alice.call, &none), SUBROSA_ERR_STRUCT_SIZE);
    IS(subrosa_call_write_frame(alice.engine, now, alice.call, NULL), SUBROSA_ERR_NULL);
    IS(give(SUBROSA_CODEC_PCMA, 160, QUIET, 160), SUBROSA_ERR_CODEC);
    IS(give(SUBROSA_CODEC_PCMU, 161, QUIET, 160), SUBROSA_ERR_INVALID);
    IS(give(SUBROSA_CODEC_PCMU, 1281, QUIET, SUBROSA_MAX_PAYLOAD + 1), SUBROSA_ERR_INVALID);
    payload[0] = 50;
    IS(subrosa_call_write_comfort_noise(alice.engine, now, alice.call, payload, 1, 160),
       SUBROSA_ERR_NOT_SUPPORTED);
    IS(subrosa_call_set_send_gain(alice.engine, now, alice.call, 3), SUBROSA_ERR_AUDIO_MODE);
}

int main(int argc, char **argv) {
    int32_t g722 = SUBROSA_CODEC_G722;
    CHECK(argc == 2);
    now = 1000000;
    set_up(&alice, argv[1], 1);
    set_up(&bob, argv[1], 2);
    settle();

    subrosa_call_options options = {.size = sizeof options};
    IS(subrosa_call_options_init(&options), SUBROSA_OK);
    CHECK(options.encoded == 0);
    options.encoded = 1;
    options.codec_count = 1;
    options.codecs[0] = SUBROSA_CODEC_PCMU;
    IS(subrosa_engine_place_call(alice.engine, now, alice.account, str("sip:bob@bob.test"),
                                 &options, &alice.call), SUBROSA_OK);
    settle();
    CHECK(alice.established && bob.established);

    subrosa_encoding e = encoding();
    CHECK(e.codec == SUBROSA_CODEC_PCMU && e.payload_type == 0 && e.ptime_ms == 20);
    CHECK(e.bitrate == 24000 && e.complexity == 8 && e.max_bandwidth == 48000);
    CHECK(!e.comfort_noise);
    for (int i = 0; i < 50; i++) frame(SUBROSA_CODEC_PCMU, 160, i % 2 ? LOUD : QUIET);
    CHECK(bob.energy > 0);
    CHECK(given[SUBROSA_FRAME_NEW_CODEC] == 1 && given[SUBROSA_FRAME_AUDIO] >= 45);
    CHECK(given[SUBROSA_FRAME_MISSING] == 0);
    for (int i = 0; i < 10; i++) frame(SUBROSA_CODEC_PCMU, 160, QUIET);
    CHECK(bob.energy == 0);
    refusals();

    /* Another codec is told of, by an event and before its first frame. */
    IS(subrosa_call_set_codecs(alice.engine, now, alice.call, &g722, 1), SUBROSA_OK);
    settle();
    CHECK(changes == 1 && encoding().codec == SUBROSA_CODEC_G722);
    IS(give(SUBROSA_CODEC_PCMU, 160, QUIET, 160), SUBROSA_ERR_CODEC);
    for (int i = 0; i < 50; i++) frame(SUBROSA_CODEC_G722, 320, QUIET);
    CHECK(given[SUBROSA_FRAME_NEW_CODEC] == 2 && told_codec == SUBROSA_CODEC_G722);

    IS(subrosa_call_hang_up(alice.engine, now, alice.call), SUBROSA_OK);
    settle();
    CHECK(alice.ended && bob.ended);
    subrosa_encoding after = {.size = sizeof after};
    IS(subrosa_call_encoding(alice.engine, alice.call, &after), SUBROSA_ERR_NO_MEDIA);
    subrosa_engine_free(alice.engine);
    subrosa_engine_free(bob.engine);
    return 0;
}
