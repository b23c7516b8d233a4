/* bytes - fixed-width little-endian values in byte arrays, without bounds.
 *
 * Each put_* writes at `at` and returns the address just after what it wrote; the caller
 * has made sure of the room. For bounded reading and writing see buf.h.
 */
#ifndef CHOIR_BASE_BYTES_H
#define CHOIR_BASE_BYTES_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

static inline uint8_t *put_u16(uint8_t *at, uint16_t value)
{
    at[0] = (uint8_t)value;
    at[1] = (uint8_t)(value >> 8);
    return at + 2;
}

static inline uint8_t *put_u32(uint8_t *at, uint32_t value)
{
    for (size_t i = 0; i < 4; i++)
        at[i] = (uint8_t)(value >> (8 * i));
    return at + 4;
}

static inline uint8_t *put_u64(uint8_t *at, uint64_t value)
{
    for (size_t i = 0; i < 8; i++)
        at[i] = (uint8_t)(value >> (8 * i));
    return at + 8;
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
    return (uint16_t)(at[0] | (unsigned)at[1] << 8);
}

static inline uint32_t get_u32(const uint8_t *at)
{
    return (uint32_t)at[0] | (uint32_t)at[1] << 8 | (uint32_t)at[2] << 16 | (uint32_t)at[3] << 24;
}

static inline uint64_t get_u64(const uint8_t *at)
{
    return (uint64_t)get_u32(at) | (uint64_t)get_u32(at + 4) << 32;
}

static inline double get_f64(const uint8_t *at)
{
    uint64_t bits = get_u64(at);
    double value;

    memcpy(&value, &bits, sizeof value);
    return value;
}

#endif
