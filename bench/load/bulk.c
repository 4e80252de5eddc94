/* bulk get|put PORT THREADS MODE SECONDS AUTHORIZATION JOBS [BASE]: whole blobs, one job a thread at a time.
 *
 * get: a job is "<path>"; MODE discard lets the kernel drop the body (MSG_TRUNC), copy receives it.
 * put: a job is "<repository> <size> <digest> <tail>"; the content is BASE repeated, its last bytes replaced by
 *      the tail, sent as POST, PATCH (MODE length, or chunked as Docker does: 32 KiB chunks), PUT ?digest=.
 * AUTHORIZATION may be empty. SECONDS 0 does every job once; otherwise jobs repeat until the time is over
 * (an upload under way is dropped). Prints one JSON object. */
#include "net.h"
#include <pthread.h>
#include <stdatomic.h>
#include <sys/uio.h>

enum { HEAD_MAX = 16 << 10, WINDOW = 1 << 20, DOCKER_CHUNK = 32 << 10 };

struct answer { int status; int64_t length; int64_t early; char location[2048]; };

static int port, putting, chunked, copying, timed;
static char *authorization, *base, **jobs;
static size_t base_size, job_count;
static atomic_size_t next_job, done, errors, bytes;
static atomic_int stop;
static uint32_t *latencies;

static int broken(const char *what, const char *detail) {
    if (!stop && !atomic_fetch_add(&errors, 1)) fprintf(stderr, "first error: %s: %.600s\n", what, detail);
    return -1;
}

static int send_all(int fd, const char *data, size_t size) {
    while (size && !stop) {
        ssize_t n = send(fd, data, size, MSG_NOSIGNAL);
        if (n < 0) return -1;
        data += n;
        size -= n;
    }
    return size ? -1 : 0;
}

static int ask(int fd, const char *method, const char *path, const char *more) {
    char head[8192];
    int n = snprintf(head, sizeof head, "%s %s HTTP/1.1\r\nHost: 127.0.0.1:%d\r\n%s%s%s%s\r\n", method, path, port,
                     *authorization ? "Authorization: " : "", authorization, *authorization ? "\r\n" : "", more);
    return send_all(fd, head, n);
}

static void keep_location(struct answer *a, char *head) {
    char *value = header(head, "Location");
    if (!value) return;
    if (!strncmp(value, "http", 4)) value = strchr(strstr(value, "//") + 2, '/');
    snprintf(a->location, sizeof a->location, "%.*s", (int)strcspn(value, "\r"), value);
}

/* Reads a head, and the body too unless `blob`: then `early` bytes of it have come already. */
static int hear(int fd, struct answer *a, int blob) {
    char head[HEAD_MAX + 1], *end = NULL;
    size_t have = 0;
    while (!end) {
        ssize_t n = recv(fd, head + have, HEAD_MAX - have, 0);
        if (n <= 0) return broken("no answer", n ? strerror(errno) : "closed");
        head[have += n] = 0;
        end = strstr(head, "\r\n\r\n");
    }
    a->status = atoi(head + 9);
    a->early = have - (end + 4 - head);
    char *length = header(head, "Content-Length");
    a->length = length ? atoll(length) : 0;
    keep_location(a, head);
    if (a->status < 200 || a->status > 299) return broken("refused", head);
    for (int64_t left = a->length - a->early; !blob && left > 0;) {
        ssize_t n = recv(fd, head, left < HEAD_MAX ? left : HEAD_MAX, 0);
        if (n <= 0) return broken("short answer", head);
        left -= n;
    }
    return 0;
}

static int get(int fd, const char *path, char *buffer) {
    struct answer a;
    if (ask(fd, "GET", path, "") < 0 || hear(fd, &a, 1) < 0) return -1;
    bytes += a.early;
    for (int64_t left = a.length - a.early; left > 0;) {
        ssize_t n = recv(fd, buffer, left < WINDOW ? left : WINDOW, copying ? 0 : MSG_TRUNC);
        if (stop) return -1;
        if (n <= 0) return broken("body cut", path);
        bytes += n;
        left -= n;
    }
    return 0;
}

static int send_chunk(int fd, const char *data, size_t size) {
    char line[16];
    struct iovec parts[] = {{line, snprintf(line, sizeof line, "%zx\r\n", size)}, {(char *)data, size}, {"\r\n", 2}};
    size_t total = parts[0].iov_len + size + 2;
    ssize_t n = writev(fd, parts, 3);
    if (n < 0) return -1;
    for (int i = 0; i < 3 && (size_t)n < total; i++) {
        if ((size_t)n >= parts[i].iov_len) {
            n -= parts[i].iov_len;
            total -= parts[i].iov_len;
            continue;
        }
        if (send_all(fd, (char *)parts[i].iov_base + n, parts[i].iov_len - n) < 0) return -1;
        total -= parts[i].iov_len;
        n = 0;
    }
    return 0;
}

static int send_piece(int fd, const char *data, size_t size) {
    while (size) {
        size_t n = size < (chunked ? DOCKER_CHUNK : WINDOW) ? size : (chunked ? DOCKER_CHUNK : WINDOW);
        if (stop || (chunked ? send_chunk(fd, data, n) : send_all(fd, data, n)) < 0) return -1;
        bytes += n;
        data += n;
        size -= n;
    }
    return 0;
}

static int send_content(int fd, size_t size, const char *tail) {
    size_t left = size - strlen(tail);
    while (left) {
        size_t n = left < base_size ? left : base_size;
        if (send_piece(fd, base, n) < 0) return -1;
        left -= n;
    }
    if (send_piece(fd, tail, strlen(tail)) < 0) return -1;
    return chunked ? send_all(fd, "0\r\n\r\n", 5) : 0;
}

static int put(int fd, const char *job, char *buffer) {
    char repository[256], digest[160], tail[128], path[4096];
    size_t size;
    struct answer a = {0};
    (void)buffer;
    if (sscanf(job, "%255s %zu %159s %127s", repository, &size, digest, tail) != 4) die("job");
    snprintf(path, sizeof path, "/v2/%s/blobs/uploads/", repository);
    if (ask(fd, "POST", path, "Content-Length: 0\r\n") < 0 || hear(fd, &a, 0) < 0) return -1;
    char more[160];
    snprintf(more, sizeof more, "Content-Type: application/octet-stream\r\nContent-Length: %zu\r\n", size);
    if (ask(fd, "PATCH", a.location, chunked ? "Transfer-Encoding: chunked\r\n" : more) < 0) return -1;
    if (send_content(fd, size, tail) < 0) return broken("body refused", strerror(errno));
    if (hear(fd, &a, 0) < 0) return -1;
    snprintf(path, sizeof path, "%s%cdigest=%s", a.location, strchr(a.location, '?') ? '&' : '?', digest);
    if (ask(fd, "PUT", path, "Content-Length: 0\r\n") < 0) return broken("closing", strerror(errno));
    return hear(fd, &a, 0);
}

static void *work(void *unused) {
    char *buffer = malloc(WINDOW);
    int fd = connect_to(port, 0);
    (void)unused;
    if (fd < 0) die("connect");
    for (size_t i; !stop && ((i = next_job++) < job_count || timed);) {
        uint64_t start = now_us();
        if ((putting ? put : get)(fd, jobs[i % job_count], buffer) < 0) {
            close(fd);
            if (stop || (fd = connect_to(port, 0)) < 0) break;
            continue;
        }
        size_t n = done++;
        if (n < 1 << 20) latencies[n] = now_us() - start;
    }
    return NULL;
}

static void load_jobs(const char *path) {
    size_t size, room = 0;
    char *save, *text = read_file(path, &size);
    for (char *line = strtok_r(text, "\n", &save); line; line = strtok_r(NULL, "\n", &save)) {
        if (job_count == room) jobs = realloc(jobs, (room = room * 2 + 64) * sizeof *jobs);
        jobs[job_count++] = line;
    }
}

int main(int argc, char **argv) {
    if (argc < 8) return fprintf(stderr, "bulk get|put PORT THREADS MODE SECONDS AUTHORIZATION JOBS [BASE]\n"), 2;
    putting = !strcmp(argv[1], "put");
    port = atoi(argv[2]);
    int threads = atoi(argv[3]);
    chunked = !strcmp(argv[4], "chunked");
    copying = !strcmp(argv[4], "copy");
    double seconds = atof(argv[5]);
    timed = seconds > 0;
    authorization = argv[6];
    load_jobs(argv[7]);
    if (putting) base = read_file(argv[8], &base_size);
    latencies = calloc(1 << 20, sizeof *latencies);
    pthread_t *all = calloc(threads, sizeof *all);
    uint64_t start = now_us();
    for (int i = 0; i < threads; i++) pthread_create(&all[i], NULL, work, NULL);
    if (timed) {
        usleep(seconds * 1e6);
        stop = 1;
    }
    double took = 0;
    if (timed) took = (now_us() - start) / 1e6;
    else {
        for (int i = 0; i < threads; i++) pthread_join(all[i], NULL);
        took = (now_us() - start) / 1e6;
    }
    size_t n = done < 1 << 20 ? done : 1 << 20, last = n ? n - 1 : 0;
    qsort(latencies, n, sizeof *latencies, by_size);
    printf("{\"jobs\": %zu, \"bytes\": %zu, \"seconds\": %.4f, \"p50_us\": %u, \"p99_us\": %u, \"max_us\": %u, "
           "\"errors\": %zu}\n",
           (size_t)done, (size_t)bytes, took, latencies[last / 2], latencies[(size_t)(last * 0.99)],
           latencies[last], (size_t)errors);
    fflush(stdout);
    _exit(0);   /* a timed run has threads in the middle of a transfer */
}
