/* buf - bounded writing and reading of little-endian records.
 *
 * A `struct buf` writes into memory that the caller owns; a `struct view` reads from it.
 * Both latch the first failure (no room, too short): fields are written or read in a
 * straight list and checked once at the end, with buf_ok() or view_done(). After a failure
 * puts do nothing and gets give zeros, so no partial value is mistaken for a real one.
 */
#ifndef CHOIR_BASE_BUF_H
#define CHOIR_BASE_BUF_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct buf {
    uint8_t *at;     // start of the caller's memory
    size_t len, max; // bytes written, room in bytes
    bool failed;
};

struct view {
    const uint8_t *at; // next byte to read
    size_t left;       // bytes not yet read
    bool failed;
};

struct buf buf_over(uint8_t *memory, size_t max);
void buf_u8(struct buf *buf, uint8_t value);
void buf_u16(struct buf *buf, uint16_t value);
void buf_u32(struct buf *buf, uint32_t value);
void buf_u64(struct buf *buf, uint64_t value);
void buf_f64(struct buf *buf, double value);
void buf_bytes(struct buf *buf, const void *from, size_t len);
/* u16 length, then the bytes without a terminating zero; fails above 65535 bytes. */
void buf_text(struct buf *buf, const char *text);
bool buf_ok(const struct buf *buf);

struct view view_over(const uint8_t *memory, size_t len);
uint8_t view_u8(struct view *view);
uint16_t view_u16(struct view *view);
uint32_t view_u32(struct view *view);
uint64_t view_u64(struct view *view);
double view_f64(struct view *view);
void view_bytes(struct view *view, void *to, size_t len);
/* The next `len` bytes in place, or NULL (latched) if there are fewer. */
const uint8_t *view_take(struct view *view, size_t len);
/* Reads what buf_text() wrote into to[0..max), zero-terminated. Fails (latched) when it
 * does not fit or holds a zero byte; `to` is then the empty string. */
void view_text(struct view *view, char *to, size_t max);
/* True if nothing failed and every byte was read: trailing bytes are an error. */
bool view_done(const struct view *view);

#endif
