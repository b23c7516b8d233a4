/* err - the one set of error codes that every folder returns, and the message for a person.
 *
 * Code decides by the enum, one value per different reaction of a caller. People read
 * choir_err_text() or, where a person wrote the input, the message in struct choir_diag.
 */
#ifndef CHOIR_BASE_ERR_H
#define CHOIR_BASE_ERR_H

enum choir_err {
    CHOIR_OK = 0,
    CHOIR_ERR_MEMORY,  // an allocation failed
    CHOIR_ERR_IO,      // a file, socket, database or device failed
    CHOIR_ERR_MISSING, // what was asked for does not exist
    CHOIR_ERR_FORMAT,  // input is malformed: length, tag, version or value
    CHOIR_ERR_FORGED,  // a signature, tag or hash does not match
    CHOIR_ERR_REFUSED, // a policy or a privacy budget does not allow it
    CHOIR_ERR_PEER,    // a peer left or broke the protocol
    CHOIR_ERR_AGAIN,   // not now: the caller waits or retries
};

/* On the declaration of each fallible function: dropping its result is a warning. */
#define CHOIR_MUST_CHECK                 __attribute__((warn_unused_result))
#define CHOIR_PRINTF(format_at, args_at) __attribute__((format(printf, format_at, args_at)))

/* Returns a fixed English phrase, never NULL. */
const char *choir_err_text(enum choir_err err);

/* What happened and where, for the person who wrote the input. Filled only on failure. */
struct choir_diag {
    char place[256];   // "FILE:LINE: key.path", or as much of it as is known
    char message[512]; // what is wrong, the allowed range, what to do next
};

/* Fills diag->place and diag->message (printf); returns `err` so that a caller can write
 * `return diag_set(diag, CHOIR_ERR_FORMAT, place, "...")`. diag may be NULL. */
enum choir_err diag_set(struct choir_diag *diag, enum choir_err err, const char *place,
                        const char *format, ...) CHOIR_PRINTF(4, 5);

#endif
