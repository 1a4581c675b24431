// SPDX-License-Identifier: Apache-2.0
// A double of libpfring for tests: the functions that the engine calls, over a packet socket. It is written from their
// behaviour (docs/pf_ring.md) and has nothing of PF_RING in it. What the kernel's module would show lies below the
// directory that WIREPATH_PFRING_DOUBLE_ROOT names: proc/ for /proc/net/pf_ring, parameters/ for its parameters.
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/ethtool.h>
#include <linux/filter.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <linux/sockios.h>
#include <net/if.h>
#include <pcap/pcap.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { longest = 65600, most_instructions = 4096, tag = 4, addresses = 12 };
enum { rx_and_tx, rx_only, tx_only };
enum { checksum_ok = 1 << 1 };

struct __attribute__((packed)) header {
    int64_t ts_s, ts_us;
    uint32_t caplen, len;
    uint64_t timestamp_ns;
    uint32_t flags;
    uint8_t rx_direction, port_id;
    uint16_t device_id;
    int32_t if_index;
    uint32_t pkt_hash;
};
_Static_assert(sizeof(struct header) == 48, "as the library writes it");

typedef struct pfring {
    int fd, file, enabled, zero_copy, direction, ifindex, filtered;
    long long channel_mask;
    uint32_t id, caplen;
    uint64_t read, lost;
    char interface[IFNAMSIZ], path[512];
    struct sock_filter program[most_instructions];
    unsigned instructions;
    unsigned char data[longest + tag];
} pfring;

const char *wirepath_pfring_double_root(void) {
    const char *root = getenv("WIREPATH_PFRING_DOUBLE_ROOT");
    return root ? root : "/nonexistent";
}

static long parameter(const char *name) {
    char path[512];
    long value = 0;
    snprintf(path, sizeof path, "%s/parameters/%s", wirepath_pfring_double_root(), name);
    FILE *file = fopen(path, "r");
    if (!file)
        return 0;
    if (fscanf(file, "%ld", &value) != 1)
        value = 0;
    fclose(file);
    return value;
}

static int driver_has_zero_copy(const char *interface) {
    char path[512], line[256];
    int found = 0;
    snprintf(path, sizeof path, "%s/proc/dev/%s/info", wirepath_pfring_double_root(), interface);
    FILE *file = fopen(path, "r");
    while (file && fgets(line, sizeof line, file))
        found |= strstr(line, "NAPI/ZC") != NULL;
    if (file)
        fclose(file);
    return found;
}

static void write_file(pfring *ring) {
    char text[1024];
    const uint64_t lie = getenv("WIREPATH_PFRING_DOUBLE_LIE") != NULL;
    const int length =
        snprintf(text, sizeof text,
                 "Bound Device(s)        : %s\nActive                 : %d\nBPF Filtering          : %-8s\n"
                 "Tot Packets            : %-20llu\nTot Pkt Lost           : %-20llu\n"
                 "Tot Insert             : %-20llu\nTot Read               : %-20llu\n",
                 ring->interface, ring->enabled, ring->filtered ? "Enabled" : "Disabled",
                 (unsigned long long)(ring->read + ring->lost), (unsigned long long)(ring->lost + lie),
                 (unsigned long long)ring->read, (unsigned long long)ring->read);
    if (ring->file >= 0 && pwrite(ring->file, text, (size_t)length, 0) != length)
        ring->file = -1;
}

static void make_file(pfring *ring) {
    snprintf(ring->path, sizeof ring->path, "%s/proc/%d-%s.%u", wirepath_pfring_double_root(), getpid(),
             ring->interface, ring->id);
    ring->file = open(ring->path, O_CREAT | O_RDWR | O_CLOEXEC, 0644);
    write_file(ring);
}

static int parse_device(pfring *ring, const char *device) {
    ring->zero_copy = strncmp(device, "zc:", 3) == 0;
    device += ring->zero_copy ? 3 : 0;
    const char *at = strchr(device, '@');
    const size_t length = at ? (size_t)(at - device) : strlen(device);
    if (length >= sizeof ring->interface)
        return -1;
    memcpy(ring->interface, device, length);
    ring->channel_mask = at ? 1LL << atoi(at + 1) : -1; // one channel is all that the tests ask for
    return ring->zero_copy && !driver_has_zero_copy(ring->interface) ? -1 : 0;
}

static int open_socket(pfring *ring) {
    const int on = 1, room = (int)(parameter("min_num_slots") * 1600 / 2);
    const struct sockaddr_ll nothing_yet = {.sll_family = AF_PACKET, .sll_ifindex = ring->ifindex};
    ring->fd = socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, 0);
    if (ring->fd < 0)
        return -1;
    setsockopt(ring->fd, SOL_SOCKET, SO_RCVBUFFORCE, &room, sizeof room);
    setsockopt(ring->fd, SOL_SOCKET, SO_TIMESTAMPNS, &on, sizeof on);
    setsockopt(ring->fd, SOL_PACKET, PACKET_AUXDATA, &on, sizeof on);
    return bind(ring->fd, (const struct sockaddr *)&nothing_yet, sizeof nothing_yet);
}

pfring *pfring_open(const char *device, uint32_t caplen, uint32_t flags) {
    static uint32_t next;
    pfring *ring = calloc(1, sizeof *ring);
    (void)flags;
    if (!ring)
        return NULL;
    ring->fd = ring->file = -1;
    ring->caplen = caplen > longest ? longest : caplen;
    ring->id = __atomic_fetch_add(&next, 1, __ATOMIC_RELAXED);
    errno = ENODEV;
    if (parse_device(ring, device) != 0 || (ring->ifindex = (int)if_nametoindex(ring->interface)) == 0 ||
        open_socket(ring) != 0) {
        const int why = errno;
        if (ring->fd >= 0)
            close(ring->fd);
        free(ring);
        errno = why;
        return NULL;
    }
    make_file(ring);
    return ring;
}

void pfring_close(pfring *ring) {
    if (ring->file >= 0) {
        close(ring->file);
        unlink(ring->path);
    }
    close(ring->fd);
    free(ring);
}

// Its channel, and then its own filter.
static int attach(pfring *ring) {
    struct sock_filter code[most_instructions + 4];
    unsigned length = 0;
    if (ring->channel_mask != -1) {
        const struct sock_filter channel[] = {
            BPF_STMT(BPF_LD | BPF_W | BPF_ABS, (uint32_t)(SKF_AD_OFF + SKF_AD_QUEUE)),
            BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, (uint32_t)__builtin_ctzll((unsigned long long)ring->channel_mask), 1, 0),
            BPF_STMT(BPF_RET | BPF_K, 0),
        };
        memcpy(code, channel, sizeof channel);
        length = 3;
    }
    memcpy(code + length, ring->program, ring->instructions * sizeof *code);
    length += ring->instructions;
    if (!ring->instructions)
        code[length++] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, 262144);
    const struct sock_fprog program = {(unsigned short)length, code};
    return setsockopt(ring->fd, SOL_SOCKET, SO_ATTACH_FILTER, &program, sizeof program);
}

int pfring_enable_ring(pfring *ring) {
    const struct sockaddr_ll everything = {
        .sll_family = AF_PACKET, .sll_ifindex = ring->ifindex, .sll_protocol = htons(ETH_P_ALL)};
    ring->enabled = 1;
    if (attach(ring) != 0)
        return -1;
    return bind(ring->fd, (const struct sockaddr *)&everything, sizeof everything);
}

int pfring_set_bpf_filter(pfring *ring, const char *text) {
    struct bpf_program compiled;
    char message[PCAP_ERRBUF_SIZE];
    if (ring->zero_copy)
        return -7;
    pcap_t *handle = pcap_create(ring->interface, message); // for a live one: tags are metadata to the kernel
    if (!handle)
        return -1;
    int result = pcap_activate(handle) < 0 ? -1 : pcap_compile(handle, &compiled, text, 1, PCAP_NETMASK_UNKNOWN);
    pcap_close(handle);
    if (result != 0)
        return -1;
    if (compiled.bf_len > 1 && compiled.bf_len <= most_instructions) { // the module passes over a shorter one
        memcpy(ring->program, compiled.bf_insns, compiled.bf_len * sizeof *ring->program);
        ring->instructions = compiled.bf_len;
        ring->filtered = 1;
        result = attach(ring);
    }
    pcap_freecode(&compiled);
    write_file(ring);
    return result;
}

int pfring_remove_bpf_filter(pfring *ring) {
    ring->instructions = 0;
    ring->filtered = 0;
    write_file(ring);
    return attach(ring);
}

int pfring_set_direction(pfring *ring, int direction) {
    const int on = direction == rx_only;
    ring->direction = direction;
    return setsockopt(ring->fd, SOL_PACKET, PACKET_IGNORE_OUTGOING, &on, sizeof on);
}

// The tag that the kernel took off goes back in front of the type. Returns where the packet begins.
static unsigned char *put_tag_back(unsigned char *data, const struct tpacket_auxdata *aux) {
    const uint16_t words[2] = {htons(ETH_P_8021Q), htons(aux->tp_vlan_tci)};
    if (!(aux->tp_status & TP_STATUS_VLAN_VALID))
        return data;
    memmove(data - tag, data, addresses);
    memcpy(data - tag + addresses, words, sizeof words);
    return data - tag;
}

static void fill_header(struct header *to, struct msghdr *message, struct tpacket_auxdata *aux) {
    for (struct cmsghdr *c = CMSG_FIRSTHDR(message); c; c = CMSG_NXTHDR(message, c)) {
        if (c->cmsg_level == SOL_PACKET && c->cmsg_type == PACKET_AUXDATA) {
            memcpy(aux, CMSG_DATA(c), sizeof *aux);
        } else if (c->cmsg_level == SOL_SOCKET && c->cmsg_type == SCM_TIMESTAMPNS) {
            struct timespec time;
            memcpy(&time, CMSG_DATA(c), sizeof time);
            to->ts_s = time.tv_sec;
            to->ts_us = time.tv_nsec / 1000;
            to->timestamp_ns = (uint64_t)time.tv_sec * 1000000000 + (uint64_t)time.tv_nsec;
        }
    }
    if (aux->tp_status & TP_STATUS_CSUM_VALID)
        to->flags |= checksum_ok;
}

static int receive(pfring *ring, unsigned char **at, struct header *header) {
    char control[CMSG_SPACE(sizeof(struct tpacket_auxdata)) + CMSG_SPACE(sizeof(struct timespec))];
    struct sockaddr_ll from = {0};
    struct iovec place = {ring->data + tag, longest};
    struct msghdr message = {&from, sizeof from, &place, 1, control, sizeof control, 0};
    struct tpacket_auxdata aux = {0};
    ssize_t length;
    while ((length = recvmsg(ring->fd, &message, MSG_DONTWAIT)) < 0 && errno == ENETDOWN) {
    }
    if (length < 0)
        return 0;
    memset(header, 0, sizeof *header);
    fill_header(header, &message, &aux);
    *at = put_tag_back(ring->data + tag, &aux);
    const uint32_t put_back = *at == ring->data + tag ? 0 : tag;
    header->len = aux.tp_len + put_back;
    header->caplen = (uint32_t)length + put_back < ring->caplen ? (uint32_t)length + put_back : ring->caplen;
    header->rx_direction = from.sll_pkttype != PACKET_OUTGOING;
    header->if_index = ring->ifindex;
    return 1;
}

int pfring_recv(pfring *ring, unsigned char **data, unsigned room, void *to, uint8_t wait) {
    struct header header;
    unsigned char *at;
    (void)wait;
    if (!ring->enabled)
        return -1;
    do {
        if (!receive(ring, &at, &header))
            return 0;
    } while (ring->direction == tx_only && header.rx_direction);
    ++ring->read;
    memcpy(to, &header, sizeof header);
    if (room == 0)
        *data = at; // there until the next one
    else
        memcpy(*data, at, header.caplen < room ? header.caplen : room);
    return 1;
}

int pfring_send(pfring *ring, char *data, unsigned length, uint8_t flush) {
    (void)flush;
    if (!ring->enabled)
        return -1;
    const int sent = (int)send(ring->fd, data, length, MSG_DONTWAIT);
    if (sent < 0 && errno == EAGAIN)
        errno = ENOBUFS; // as the module, which does not wait
    return sent;
}

int pfring_stats(pfring *ring, uint64_t counts[3]) {
    struct tpacket_stats now = {0};
    socklen_t size = sizeof now;
    if (getsockopt(ring->fd, SOL_PACKET, PACKET_STATISTICS, &now, &size) == 0)
        ring->lost += now.tp_drops;
    counts[0] = ring->read;
    counts[1] = ring->lost;
    counts[2] = 0;
    write_file(ring);
    return 0;
}

uint8_t pfring_get_num_rx_channels(pfring *ring) {
    struct ethtool_channels channels = {.cmd = ETHTOOL_GCHANNELS};
    struct ifreq request = {.ifr_data = (char *)&channels};
    memcpy(request.ifr_name, ring->interface, IFNAMSIZ);
    if (ioctl(ring->fd, SIOCETHTOOL, &request) != 0)
        return 1;
    return (uint8_t)(channels.rx_count + channels.combined_count);
}

int pfring_set_socket_mode(pfring *ring, int mode) { return ring && mode >= 0 ? 0 : -1; }
int pfring_set_poll_watermark(pfring *ring, uint16_t packets) { return ring && packets ? 0 : -1; }
int pfring_set_application_name(pfring *ring, char *name) { return ring && name ? 0 : -1; }
int pfring_get_selectable_fd(pfring *ring) { return ring->fd; }
uint32_t pfring_get_ring_id(pfring *ring) { return ring->id; }
uint16_t pfring_get_slot_header_len(pfring *ring) {
    const long other = parameter("double_header_len");
    return ring && other ? (uint16_t)other : sizeof(struct header);
}
void pfring_version_noring(uint32_t *version) { *version = 8 << 16 | 9 << 8; }
void *pfring_findalldevs(void) { return NULL; }
void pfring_freealldevs(void *list) { (void)list; }
