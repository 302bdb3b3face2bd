/* CHECK ends the program with the line that failed. */
#ifndef CHECK_H
#define CHECK_H

#define _GNU_SOURCE
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "subrosa.h"

#define CHECK(condition)                                                              \
    do {                                                                              \
        if (!(condition)) {                                                           \
            fprintf(stderr, "%s:%d: %s\n", __FILE__, __LINE__, #condition);           \
            exit(1);                                                                  \
        }                                                                             \
    } while (0)

#define IS(call, status)                                                              \
    do {                                                                              \
        subrosa_status got = (call);                                                  \
        if (got != (status)) {                                                        \
            fprintf(stderr, "%s:%d: %s gave %d (%s), not " #status "\n", __FILE__,    \
                    __LINE__, #call, (int)got, subrosa_status_text(got));             \
            exit(1);                                                                  \
        }                                                                             \
    } while (0)

static inline subrosa_str str(const char *text) {
    subrosa_str s = {text, strlen(text)};
    return s;
}

static inline subrosa_config *new_config(uint8_t seed) {
    uint8_t bytes[32];
    subrosa_config *config = NULL;
    memset(bytes, seed, sizeof bytes);
    /* 2027-01-01: the certificates of tests/data/sim are valid then. */
    IS(subrosa_config_new(bytes, sizeof bytes, 1798761600ull * 1000000, &config), SUBROSA_OK);
    return config;
}

static inline uint64_t add_account(subrosa_engine *engine, const char *aor, int32_t policy) {
    subrosa_account_config *config = NULL;
    uint64_t id = 0;
    IS(subrosa_account_config_new(str(aor), &config), SUBROSA_OK);
    IS(subrosa_account_config_set_register(config, 0), SUBROSA_OK);
    IS(subrosa_account_config_set_policy(config, policy), SUBROSA_OK);
    IS(subrosa_engine_add_account(engine, 0, config, &id), SUBROSA_OK);
    subrosa_account_config_free(config);
    CHECK(id != 0);
    return id;
}

#endif
