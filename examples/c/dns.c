#define _GNU_SOURCE
#include "dns.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <unistd.h>

#define MAX_QUESTIONS 16
#define TRIES 3
#define TRY_US 2000000

struct question {
    int used, tries;
    uint64_t query, due;
    int32_t kind;
    uint8_t packet[300];
    size_t len;
};

static struct question questions[MAX_QUESTIONS];
static int dns_fd = -1;

static uint16_t type_of(int32_t kind) {
    switch (kind) {
    case SUBROSA_DNS_NAPTR: return 35;
    case SUBROSA_DNS_SRV: return 33;
    case SUBROSA_DNS_AAAA: return 28;
    default: return 1;
    }
}

static uint16_t get16(const uint8_t *b) { return (uint16_t)(b[0] << 8 | b[1]); }

static void first_server(char *out, size_t room) {
    char line[256], ip[64];
    FILE *file = fopen("/etc/resolv.conf", "r");
    snprintf(out, room, "127.0.0.1:53");
    while (file && fgets(line, sizeof line, file))
        if (sscanf(line, "nameserver %63s", ip) == 1) {
            snprintf(out, room, strchr(ip, ':') ? "[%s]:53" : "%s:53", ip);
            break;
        }
    if (file) fclose(file);
}

int dns_open(const char *server) {
    char found[80];
    subrosa_addr a;
    struct sockaddr_in four = {.sin_family = AF_INET};
    struct sockaddr_in6 six = {.sin6_family = AF_INET6};
    first_server(found, sizeof found);
    if (!server) server = found;
    subrosa_str text = {server, strlen(server)};
    if (subrosa_addr_parse(text, &a) != SUBROSA_OK) return -1;
    four.sin_port = six.sin6_port = htons(a.port);
    memcpy(&four.sin_addr, a.ip, 4);
    memcpy(&six.sin6_addr, a.ip, 16);
    dns_fd = socket(a.family == 6 ? AF_INET6 : AF_INET, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    /* Connected: the kernel takes datagrams of this server alone, on a port that it chose. */
    if (dns_fd >= 0 && connect(dns_fd, a.family == 6 ? (struct sockaddr *)&six : (struct sockaddr *)&four,
                               a.family == 6 ? sizeof six : sizeof four)) {
        close(dns_fd);
        dns_fd = -1;
    }
    return dns_fd;
}

static int answered(struct dns_answer *answer, uint64_t query, int32_t result) {
    memset(answer, 0, sizeof *answer);
    answer->query = query;
    answer->result = result;
    return 1;
}

/* The question as it goes over the wire (RFC 1035, section 4.1); 0 if the name is none. */
static size_t write_question(uint8_t *to, size_t room, uint16_t id, subrosa_str name, int32_t kind) {
    size_t at = 12, label = at++;
    if (name.len == 0 || name.len > 253 || room < name.len + 18) return 0;
    memset(to, 0, 12);
    to[0] = (uint8_t)(id >> 8);
    to[1] = (uint8_t)id;
    to[2] = 1; /* recursion desired */
    to[5] = 1; /* one question */
    for (size_t i = 0; i <= name.len; i++) {
        if (i < name.len && name.ptr[i] != '.') {
            to[at++] = (uint8_t)name.ptr[i];
            continue;
        }
        if (at - label - 1 == 0 || at - label - 1 > 63) return 0;
        to[label] = (uint8_t)(at - label - 1);
        label = at++;
    }
    to[label] = 0;
    to[at++] = 0;
    to[at++] = (uint8_t)type_of(kind);
    to[at++] = 0;
    to[at++] = 1; /* class IN */
    return at;
}

int dns_ask(uint64_t now, uint64_t query, subrosa_str name, int32_t kind, struct dns_answer *answer) {
    uint16_t id;
    /* This name never goes to a server (RFC 6761, section 6.3). */
    if (name.len == 9 && !memcmp(name.ptr, "localhost", 9) && kind == SUBROSA_DNS_A) {
        answered(answer, query, SUBROSA_DNS_RECORDS);
        answer->count = 1;
        answer->records[0].kind = kind;
        memcpy(answer->records[0].ip, "\x7f\0\0\1", 4);
        return 1;
    }
    if (name.len >= 9 && !memcmp(name.ptr + name.len - 9, "localhost", 9))
        return answered(answer, query, SUBROSA_DNS_NOT_FOUND);
    for (int i = 0; i < MAX_QUESTIONS; i++) {
        struct question *q = &questions[i];
        if (q->used) continue;
        if (getrandom(&id, sizeof id, 0) != sizeof id) break;
        q->len = write_question(q->packet, sizeof q->packet, id, name, kind);
        if (!q->len) return answered(answer, query, SUBROSA_DNS_NOT_FOUND);
        q->used = 1;
        q->tries = 0;
        q->query = query;
        q->kind = kind;
        q->due = now; /* dns_again sends it */
        return 0;
    }
    return answered(answer, query, SUBROSA_DNS_FAILED);
}

int dns_again(uint64_t now, struct dns_answer *answer) {
    for (int i = 0; i < MAX_QUESTIONS; i++) {
        struct question *q = &questions[i];
        if (!q->used || q->due > now) continue;
        if (q->tries++ == TRIES) {
            q->used = 0;
            return answered(answer, q->query, SUBROSA_DNS_FAILED);
        }
        q->due = now + TRY_US;
        (void)!send(dns_fd, q->packet, q->len, 0); /* lost here as it may be lost on the way */
    }
    return 0;
}

uint64_t dns_wake_at(void) {
    uint64_t at = UINT64_MAX;
    for (int i = 0; i < MAX_QUESTIONS; i++)
        if (questions[i].used && questions[i].due < at) at = questions[i].due;
    return at;
}

/* A name, which may continue elsewhere; what follows it, or 0 if it is broken. */
static size_t read_name(const uint8_t *b, size_t len, size_t at, char *out) {
    size_t end = 0, n = 0;
    for (int hops = 0; hops < 64 && at < len; hops++) {
        uint8_t label = b[at];
        if (label >= 0xc0) {
            if (at + 1 >= len) return 0;
            if (!end) end = at + 2;
            at = (size_t)(label & 0x3f) << 8 | b[at + 1];
            continue;
        }
        at++;
        if (!label) {
            out[n] = 0;
            return end ? end : at;
        }
        if (label > 63 || at + label > len || n + label + 2 > 256) return 0;
        if (n) out[n++] = '.';
        memcpy(out + n, b + at, label);
        n += label;
        at += label;
    }
    return 0;
}

/* A string with its length in front; what follows it, or 0. */
static size_t read_text(const uint8_t *b, size_t end, size_t at, char *out) {
    if (!at || at >= end || at + 1 + b[at] > end) return 0;
    memcpy(out, b + at + 1, b[at]);
    out[b[at]] = 0;
    return at + 1 + b[at];
}

static subrosa_str borrowed(const char *text) {
    subrosa_str s = {text, strlen(text)};
    return s;
}

static int read_record(const uint8_t *b, size_t at, size_t end, size_t len, int32_t kind,
                       struct dns_answer *answer) {
    subrosa_dns_record *r = &answer->records[answer->count];
    char(*text)[256] = answer->text[answer->count];
    size_t room = end - at;
    r->kind = kind;
    switch (kind) {
    case SUBROSA_DNS_A:
    case SUBROSA_DNS_AAAA:
        if (room != (kind == SUBROSA_DNS_A ? 4u : 16u)) return 0;
        memcpy(r->ip, b + at, room);
        return 1;
    case SUBROSA_DNS_SRV:
        if (room < 7 || !read_name(b, len, at + 6, text[0])) return 0;
        r->priority = get16(b + at);
        r->weight = get16(b + at + 2);
        r->port = get16(b + at + 4);
        r->target = borrowed(text[0]);
        return 1;
    case SUBROSA_DNS_NAPTR:
        if (room < 8) return 0;
        r->priority = get16(b + at);
        r->weight = get16(b + at + 2);
        at = read_text(b, end, at + 4, text[1]);
        at = read_text(b, end, at, text[2]);
        at = read_text(b, end, at, text[0]); /* a regular expression: not for SIP servers */
        if (!at || !read_name(b, len, at, text[0])) return 0;
        r->target = borrowed(text[0]);
        r->flags = borrowed(text[1]);
        r->service = borrowed(text[2]);
        return 1;
    default: return 0;
    }
}

static int read_answer(const struct question *q, const uint8_t *b, size_t len,
                       struct dns_answer *answer) {
    char name[256];
    size_t at = q->len;
    answered(answer, q->query, SUBROSA_DNS_NOT_FOUND);
    /* Cut off (TC), or an error other than "no such name". */
    if (b[2] & 2 || ((b[3] & 15) != 0 && (b[3] & 15) != 3))
        return answered(answer, q->query, SUBROSA_DNS_FAILED);
    for (unsigned n = get16(b + 6); n && answer->count < DNS_RECORDS; n--) {
        at = read_name(b, len, at, name);
        if (!at || at + 10 > len) break;
        size_t start = at + 10, end = start + get16(b + at + 8);
        if (end > len) break;
        if (get16(b + at) == type_of(q->kind) && get16(b + at + 2) == 1)
            answer->count += (size_t)read_record(b, start, end, len, q->kind, answer);
        at = end;
    }
    if (answer->count) answer->result = SUBROSA_DNS_RECORDS;
    return 1;
}

int dns_read(struct dns_answer *answer) {
    uint8_t b[4096];
    ssize_t n = recv(dns_fd, b, sizeof b, 0);
    if (n < 0) return -1;
    for (int i = 0; i < MAX_QUESTIONS; i++) {
        struct question *q = &questions[i];
        /* A response (QR), with our number, to our very question. */
        if (!q->used || (size_t)n < q->len || memcmp(b, q->packet, 2) || !(b[2] & 0x80) ||
            get16(b + 4) != 1 || memcmp(b + 12, q->packet + 12, q->len - 12))
            continue;
        q->used = 0;
        return read_answer(q, b, (size_t)n, answer);
    }
    return 0;
}
