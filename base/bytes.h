/* bytes - fixed-width little-endian values in byte arrays, without bounds.
 *
 * Each put_* writes at `at` and returns the address just after what it wrote; the caller
 * has made sure of the room. For bounded reading and writing see buf.h.
 */
#ifndef CHOIR_BASE_BYTES_H
#define CHOIR_BASE_BYTES_H

#include <endian.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

// One store or load each where the machine is little-endian: loops over them run in vectors.
static inline uint8_t *put_u16(uint8_t *at, uint16_t value)
{
    uint16_t little = htole16(value);

    memcpy(at, &little, sizeof little);
    return at + sizeof little;
}

static inline uint8_t *put_u32(uint8_t *at, uint32_t value)
{
    uint32_t little = htole32(value);

    memcpy(at, &little, sizeof little);
    return at + sizeof little;
}

static inline uint8_t *put_u64(uint8_t *at, uint64_t value)
{
    uint64_t little = htole64(value);

    memcpy(at, &little, sizeof little);
    return at + sizeof little;
}

static inline uint8_t *put_f64(uint8_t *at, double value)
{
    uint64_t bits;

    memcpy(&bits, &value, sizeof bits);
    return put_u64(at, bits);
}

static inline uint8_t *put_bytes(uint8_t *at, const void *from, size_t len)
{
    if (len > 0)
        memcpy(at, from, len);
    return at + len;
}

static inline uint16_t get_u16(const uint8_t *at)
{
    uint16_t little;

    memcpy(&little, at, sizeof little);
    return le16toh(little);
}

static inline uint32_t get_u32(const uint8_t *at)
{
    uint32_t little;

    memcpy(&little, at, sizeof little);
    return le32toh(little);
}

static inline uint64_t get_u64(const uint8_t *at)
{
    uint64_t little;

    memcpy(&little, at, sizeof little);
    return le64toh(little);
}

static inline double get_f64(const uint8_t *at)
{
    uint64_t bits = get_u64(at);
    double value;

    memcpy(&value, &bits, sizeof value);
    return value;
}

#endif
