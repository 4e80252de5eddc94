/* small PORT CONNECTIONS SECONDS REQUESTS: prepared requests over keep-alive connections, by epoll.
 *
 * REQUESTS is a file of "<bytes>\n<request>" records, taken in turn by whichever connection is free.
 * SECONDS 0 sends each of them once. Prints one JSON object; an answer other than 2xx is an error. */
#include "net.h"
#include <fcntl.h>
#include <sys/epoll.h>

enum { HEAD_MAX = 64 << 10, TAIL = 7 };

struct request { char *bytes; uint32_t size; };
struct connection {
    int fd;
    struct request *asked;
    uint32_t sent, head_size;
    int64_t body_left;          /* -1: the head is not complete, -2: chunked */
    int bad;
    uint64_t started;
    char tail[TAIL];            /* the last bytes of a chunked body */
    char head[HEAD_MAX + 1];
};

static struct request *requests;
static size_t request_count, next_request, latency_count, latency_room, errors, reconnects;
static uint32_t *latencies;
static int port, epoll_fd, once, open_connections;

static void load_requests(const char *path) {
    size_t size, room = 0;
    char *at = read_file(path, &size), *end = at + size;
    while (at < end) {
        uint32_t bytes = strtoul(at, &at, 10);
        if (request_count == room) requests = realloc(requests, (room = room * 2 + 64) * sizeof *requests);
        requests[request_count++] = (struct request){++at, bytes};
        at += bytes;
    }
}

static void write_more(struct connection *c) {
    while (c->sent < c->asked->size) {
        ssize_t n = send(c->fd, c->asked->bytes + c->sent, c->asked->size - c->sent, MSG_NOSIGNAL);
        if (n < 0) return;      /* full, or broken: then the next read says so */
        c->sent += n;
    }
}

static void ask(struct connection *c) {
    if (once && next_request == request_count) {
        close(c->fd);
        c->fd = -1;
        open_connections--;
        return;
    }
    c->asked = &requests[next_request++ % request_count];
    c->sent = c->head_size = c->bad = 0;
    c->head[0] = 0;
    c->body_left = -1;
    c->started = now_us();
    write_more(c);
}

static void open_one(struct connection *c) {
    if ((c->fd = connect_to(port, 0)) < 0) die("connect");
    fcntl(c->fd, F_SETFL, O_NONBLOCK);
    struct epoll_event e = {.events = EPOLLIN | EPOLLOUT | EPOLLET, .data.ptr = c};
    epoll_ctl(epoll_fd, EPOLL_CTL_ADD, c->fd, &e);
}

static void complain(struct connection *c) {
    if (!errors) fprintf(stderr, "first error: %.*s -> %.400s\n", 80, c->asked->bytes, c->head);
}

static void answered(struct connection *c) {
    if (latency_count == latency_room)
        latencies = realloc(latencies, (latency_room = latency_room * 2 + 65536) * sizeof *latencies);
    latencies[latency_count++] = now_us() - c->started;
    errors += c->bad;
    char *closing = header(c->head, "Connection");
    if (closing && !strncasecmp(closing, "close", 5)) {
        close(c->fd);
        reconnects++;
        open_one(c);
    }
    ask(c);
}

static void parse_head(struct connection *c) {
    char *end = strstr(c->head, "\r\n\r\n");
    if (!end) return;
    uint32_t extra = c->head_size - (end + 4 - c->head);
    char first = end[2];
    end[2] = 0;
    int status = atoi(c->head + 9);
    char *length = header(c->head, "Content-Length"), *coding = header(c->head, "Transfer-Encoding");
    if (status < 200 || status > 299) {
        complain(c);
        c->bad = 1;
    }
    if (!strncmp(c->asked->bytes, "HEAD", 4) || status == 204 || status == 304) c->body_left = 0;
    else if (coding) {
        end[2] = first;
        c->body_left = -2;
        memcpy(c->tail, c->head + c->head_size - TAIL, TAIL);
    } else c->body_left = (length ? atoll(length) : 0) - extra;
}

static int body_ended(struct connection *c) {
    return c->body_left == 0 || (c->body_left == -2 && !memcmp(c->tail, "\r\n0\r\n\r\n", TAIL));
}

static void keep_tail(struct connection *c, const char *bytes, ssize_t n) {
    if (n >= TAIL) memcpy(c->tail, bytes + n - TAIL, TAIL);
    else {
        memmove(c->tail, c->tail + n, TAIL - n);
        memcpy(c->tail + TAIL - n, bytes, n);
    }
}

static ssize_t receive(struct connection *c) {
    static char scratch[1 << 18];
    int head = c->body_left == -1;
    ssize_t n = head ? recv(c->fd, c->head + c->head_size, HEAD_MAX - c->head_size, 0)
                     : recv(c->fd, scratch, sizeof scratch, 0);
    if (n <= 0) return n;
    if (head) {
        c->head[c->head_size += n] = 0;
        parse_head(c);
    } else if (c->body_left > 0) c->body_left -= n;
    else keep_tail(c, scratch, n);
    return n;
}

static void serve(struct connection *c) {
    write_more(c);
    for (;;) {
        int fd = c->fd;
        ssize_t n = receive(c);
        if (n < 0 && (errno == EAGAIN || errno == EINTR)) return;
        if (n <= 0) {
            complain(c);
            errors++;
            close(c->fd);
            open_one(c);
            ask(c);
            return;
        }
        if (c->body_left != -1 && body_ended(c)) answered(c);
        if (c->fd != fd || !open_connections) return;
    }
}

int main(int argc, char **argv) {
    if (argc != 5) return fprintf(stderr, "small PORT CONNECTIONS SECONDS REQUESTS\n"), 2;
    port = atoi(argv[1]);
    open_connections = atoi(argv[2]);
    double seconds = atof(argv[3]);
    once = seconds == 0;
    load_requests(argv[4]);
    epoll_fd = epoll_create1(0);
    struct connection *all = calloc(open_connections, sizeof *all);
    for (int i = 0, n = open_connections; i < n; i++) open_one(&all[i]);
    uint64_t start = now_us(), deadline = once ? UINT64_MAX : start + (uint64_t)(seconds * 1e6);
    for (int i = 0, n = open_connections; i < n; i++) ask(&all[i]);
    struct epoll_event events[256];
    while (open_connections && now_us() < deadline) {
        int n = epoll_wait(epoll_fd, events, 256, 50);
        for (int i = 0; i < n; i++) serve(events[i].data.ptr);
    }
    double took = (now_us() - start) / 1e6;
    qsort(latencies, latency_count, sizeof *latencies, by_size);
    size_t last = latency_count ? latency_count - 1 : 0;
    if (!latency_count) latencies = calloc(1, sizeof *latencies);
    printf("{\"requests\": %zu, \"seconds\": %.4f, \"p50_us\": %u, \"p99_us\": %u, \"max_us\": %u, "
           "\"errors\": %zu, \"reconnects\": %zu}\n",
           latency_count, took, latencies[last / 2], latencies[(size_t)(last * 0.99)], latencies[last],
           errors, reconnects);
    return 0;
}
