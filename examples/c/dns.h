/*
 * Questions to a DNS server that nobody waits for: NAPTR, SRV, A and AAAA over UDP, asked again
 * until an answer comes. What it does not do: TCP for answers that are too long for a datagram,
 * the hosts file, search domains.
 */
#ifndef DNS_H
#define DNS_H

#include "subrosa.h"

#define DNS_RECORDS 8

struct dns_answer {
    uint64_t query;
    int32_t result; /* a SUBROSA_DNS_ result */
    subrosa_dns_record records[DNS_RECORDS];
    size_t count;
    char text[DNS_RECORDS][3][256]; /* what the records point to */
};

/* A socket to "IP:port", or to the first server of /etc/resolv.conf if NULL; -1 on failure. */
int dns_open(const char *server);
/* Asks; 1 if the answer is known already, and is in `answer`. */
int dns_ask(uint64_t now, uint64_t query, subrosa_str name, int32_t kind, struct dns_answer *answer);
/* Reads one datagram; 1 if `answer` is one to a question, 0 if not, -1 if there is none. */
int dns_read(struct dns_answer *answer);
/* Asks again what is due; 1 if a question was given up: `answer` says so. Call until it gives 0. */
int dns_again(uint64_t now, struct dns_answer *answer);
/* When dns_again is due. */
uint64_t dns_wake_at(void);

#endif
