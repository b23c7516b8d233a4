#include "crypto/keyfile.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <sodium.h>

#include "base/buf.h"
#include "base/file.h"
#include "base/hex.h"
#include "crypto/rng.h"

enum {
    VERSION = 1,
    SALT_BYTES = crypto_pwhash_argon2id_SALTBYTES,
    NONCE_BYTES = crypto_aead_xchacha20poly1305_ietf_NPUBBYTES,
    KEY_BYTES = crypto_aead_xchacha20poly1305_ietf_KEYBYTES,
    TAG_BYTES = crypto_aead_xchacha20poly1305_ietf_ABYTES,
    HEAD_MAX = 8 + 2 + 4 + 8 + SALT_BYTES + NONCE_BYTES + 2 + KEYFILE_PURPOSE_MAX + 4,
    FRESH_BYTES = 24, // of a passphrase of our own making
    FILE_MAX = HEAD_MAX + KEYFILE_SECRET_MAX + TAG_BYTES,
};

static_assert((int)FILE_MAX <= (int)KEYFILE_SEALED_MAX, "room for what is sealed");

static const char magic[8] = {'C', 'H', 'O', 'I', 'R', 'K', 'E', 'Y'};

struct head {
    uint32_t ops;
    uint64_t memory;
    uint8_t salt[SALT_BYTES];
    uint8_t nonce[NONCE_BYTES];
    char purpose[KEYFILE_PURPOSE_MAX];
    uint32_t secret_len;
};

uint8_t *keyfile_alloc(size_t len)
{
    return sodium_malloc(len);
}

void keyfile_free(void *secret)
{
    sodium_free(secret); // wipes, and allows NULL
}

static enum choir_err stretch(const struct head *head, const char *passphrase, uint8_t *key)
{
    if (crypto_pwhash(key, KEY_BYTES, passphrase, strlen(passphrase), head->salt, head->ops,
                      (size_t)head->memory, crypto_pwhash_ALG_ARGON2ID13) != 0)
        return CHOIR_ERR_MEMORY; // the only way it fails once the costs are in bounds
    return CHOIR_OK;
}

static void put_head(struct buf *buf, const struct head *head)
{
    buf_bytes(buf, magic, sizeof magic);
    buf_u16(buf, VERSION);
    buf_u32(buf, head->ops);
    buf_u64(buf, head->memory);
    buf_bytes(buf, head->salt, sizeof head->salt);
    buf_bytes(buf, head->nonce, sizeof head->nonce);
    buf_text(buf, head->purpose);
    buf_u32(buf, head->secret_len);
}

// What is left in `view` afterwards is the ciphertext, of the length that the head states.
static enum choir_err get_head(struct view *view, struct head *head)
{
    char found[sizeof magic];

    view_bytes(view, found, sizeof found);
    if (memcmp(found, magic, sizeof magic) != 0 || view_u16(view) != VERSION)
        return CHOIR_ERR_FORMAT;
    head->ops = view_u32(view);
    head->memory = view_u64(view);
    view_bytes(view, head->salt, sizeof head->salt);
    view_bytes(view, head->nonce, sizeof head->nonce);
    view_text(view, head->purpose, sizeof head->purpose);
    head->secret_len = view_u32(view);
    if (view->failed || head->secret_len == 0 || head->secret_len > KEYFILE_SECRET_MAX ||
        view->left != head->secret_len + TAG_BYTES)
        return CHOIR_ERR_FORMAT;
    if (head->ops < crypto_pwhash_argon2id_OPSLIMIT_MIN || head->ops > KEYFILE_OPS_MAX ||
        head->memory < crypto_pwhash_argon2id_MEMLIMIT_MIN || head->memory > KEYFILE_MEMORY_MAX)
        return CHOIR_ERR_FORMAT;
    return CHOIR_OK;
}

static void choose_cost(struct head *head, enum keyfile_cost cost)
{
    switch (cost) {
    case KEYFILE_COST_MODERATE:
        head->ops = crypto_pwhash_argon2id_OPSLIMIT_MODERATE;
        head->memory = crypto_pwhash_argon2id_MEMLIMIT_MODERATE;
        break;
    case KEYFILE_COST_MIN:
        head->ops = crypto_pwhash_argon2id_OPSLIMIT_MIN;
        head->memory = crypto_pwhash_argon2id_MEMLIMIT_MIN;
        break;
    }
}

static bool passphrase_is_valid(const char *passphrase)
{
    size_t len = strlen(passphrase);

    return len > 0 && len <= KEYFILE_PASSPHRASE_MAX;
}

enum choir_err keyfile_seal_bytes(const char *purpose, enum keyfile_cost cost,
                                  const char *passphrase, const uint8_t *secret, size_t len,
                                  uint8_t sealed[static KEYFILE_SEALED_MAX], size_t *sealed_len)
{
    enum choir_err err = CHOIR_ERR_MEMORY;
    struct head head = {.secret_len = (uint32_t)len};
    struct buf buf = buf_over(sealed, FILE_MAX);
    uint8_t *key = NULL;

    if (len == 0 || len > KEYFILE_SECRET_MAX || strlen(purpose) >= sizeof head.purpose ||
        !passphrase_is_valid(passphrase))
        return CHOIR_ERR_FORMAT;
    key = sodium_malloc(KEY_BYTES);
    if (key == NULL)
        goto out;
    choose_cost(&head, cost);
    randombytes_buf(head.salt, sizeof head.salt);
    randombytes_buf(head.nonce, sizeof head.nonce);
    memcpy(head.purpose, purpose, strlen(purpose) + 1);
    put_head(&buf, &head);
    err = stretch(&head, passphrase, key);
    if (err != CHOIR_OK)
        goto out;
    crypto_aead_xchacha20poly1305_ietf_encrypt(sealed + buf.len, NULL, secret, len, sealed, buf.len,
                                               NULL, head.nonce, key);
    *sealed_len = buf.len + len + TAG_BYTES;
out:
    sodium_free(key);
    return err;
}

enum choir_err keyfile_seal(const char *path, const char *purpose, enum keyfile_cost cost,
                            const char *passphrase, const uint8_t *secret, size_t len)
{
    uint8_t sealed[KEYFILE_SEALED_MAX];
    size_t sealed_len = 0;
    enum choir_err err =
        keyfile_seal_bytes(purpose, cost, passphrase, secret, len, sealed, &sealed_len);

    return err != CHOIR_OK ? err : file_replace(AT_FDCWD, path, 0600, sealed, sealed_len);
}

// Reads a file that nobody but this user (or root) can read or has written.
static enum choir_err read_private(const char *path, size_t max, uint8_t **bytes, size_t *len)
{
    enum choir_err err = CHOIR_ERR_IO;
    struct stat about;
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);

    if (fd < 0)
        return errno == ENOENT ? CHOIR_ERR_MISSING : CHOIR_ERR_IO;
    if (fstat(fd, &about) != 0)
        goto out;
    if (!S_ISREG(about.st_mode) || (about.st_mode & (S_IRWXG | S_IRWXO)) != 0 ||
        (about.st_uid != geteuid() && about.st_uid != 0)) {
        err = CHOIR_ERR_REFUSED;
        goto out;
    }
    err = file_read_fd(fd, max, bytes, len);
out:
    close(fd);
    return err;
}

static enum choir_err unseal(struct view *sealed, const struct head *head, const uint8_t *file,
                             const char *passphrase, uint8_t **secret)
{
    enum choir_err err = CHOIR_ERR_MEMORY;
    uint8_t *key = sodium_malloc(KEY_BYTES);
    uint8_t *opened = sodium_malloc(head->secret_len);

    if (key == NULL || opened == NULL)
        goto out;
    err = stretch(head, passphrase, key);
    if (err != CHOIR_OK)
        goto out;
    if (crypto_aead_xchacha20poly1305_ietf_decrypt(opened, NULL, NULL, sealed->at, sealed->left,
                                                   file, (size_t)(sealed->at - file), head->nonce,
                                                   key) != 0) {
        err = CHOIR_ERR_FORGED;
        goto out;
    }
    *secret = opened;
    opened = NULL;
out:
    sodium_free(opened);
    sodium_free(key);
    return err;
}

enum choir_err keyfile_open_bytes(const uint8_t *sealed, size_t sealed_len, const char *purpose,
                                  const char *passphrase, uint8_t **secret, size_t *len)
{
    enum choir_err err;
    struct head head;
    struct view view = view_over(sealed, sealed_len);

    if (!passphrase_is_valid(passphrase))
        return CHOIR_ERR_FORGED; // no such passphrase seals anything
    err = get_head(&view, &head);
    if (err != CHOIR_OK)
        return err;
    if (strcmp(head.purpose, purpose) != 0)
        return CHOIR_ERR_FORGED;
    err = unseal(&view, &head, sealed, passphrase, secret);
    if (err == CHOIR_OK)
        *len = head.secret_len;
    return err;
}

enum choir_err keyfile_open(const char *path, const char *purpose, const char *passphrase,
                            uint8_t **secret, size_t *len)
{
    enum choir_err err;
    uint8_t *file = NULL;
    size_t file_len = 0;

    if (!passphrase_is_valid(passphrase))
        return CHOIR_ERR_FORGED;
    err = read_private(path, FILE_MAX, &file, &file_len);
    if (err == CHOIR_OK)
        err = keyfile_open_bytes(file, file_len, purpose, passphrase, secret, len);
    free(file);
    return err;
}

enum choir_err keyfile_passphrase(const char *path, char **passphrase)
{
    enum choir_err err;
    uint8_t *file = NULL;
    size_t len = 0, line;
    char *copy;

    err = read_private(path, KEYFILE_PASSPHRASE_MAX + 2, &file, &len);
    if (err != CHOIR_OK)
        return err;
    line = strcspn((const char *)file, "\r\n"); // file_read() ends with a zero
    err = line == 0 || line > KEYFILE_PASSPHRASE_MAX ? CHOIR_ERR_FORMAT : CHOIR_OK;
    copy = err == CHOIR_OK ? sodium_malloc(line + 1) : NULL;
    if (err == CHOIR_OK && copy == NULL)
        err = CHOIR_ERR_MEMORY;
    if (err == CHOIR_OK) {
        memcpy(copy, file, line);
        copy[line] = '\0';
        *passphrase = copy;
    }
    sodium_memzero(file, len);
    free(file);
    return err;
}

enum choir_err keyfile_passphrase_make(const char *path, bool *made)
{
    uint8_t random[FRESH_BYTES];
    char line[2 * FRESH_BYTES + 1];
    enum choir_err err;

    *made = access(path, F_OK) != 0;
    if (!*made)
        return CHOIR_OK;
    rng_bytes(random, sizeof random);
    hex_put(line, random, sizeof random);
    line[sizeof line - 1] = '\n';
    err = file_replace(AT_FDCWD, path, 0600, line, sizeof line);
    sodium_memzero(random, sizeof random);
    sodium_memzero(line, sizeof line);
    return err;
}

const char *keyfile_fault_text(enum choir_err err)
{
    switch (err) {
    case CHOIR_ERR_MISSING:
        return "there is no key file here: `choir-node keys` makes that of a site, `choir init` those "
               "of a federation";
    case CHOIR_ERR_REFUSED:
        return "others than its owner may read the key file, or it is another user's: chmod 600";
    case CHOIR_ERR_FORGED:
        return "the passphrase is wrong, or the key file was changed or is another one";
    case CHOIR_ERR_FORMAT:
        return "this is not a key file, or not the one that is needed";
    case CHOIR_OK:
    case CHOIR_ERR_MEMORY:
    case CHOIR_ERR_IO:
    case CHOIR_ERR_PEER:
    case CHOIR_ERR_AGAIN:
    default:
        return choir_err_text(err);
    }
}

const char *keyfile_passphrase_fault_text(enum choir_err err)
{
    switch (err) {
    case CHOIR_ERR_MISSING:
        return "there is no passphrase file here; put back the one that the keys were made with";
    case CHOIR_ERR_REFUSED:
        return "others than its owner may read the passphrase, or it is another user's: chmod 600";
    case CHOIR_ERR_FORMAT:
        return "the first line of the passphrase file is empty or longer than 1024 bytes";
    case CHOIR_OK:
    case CHOIR_ERR_MEMORY:
    case CHOIR_ERR_IO:
    case CHOIR_ERR_FORGED:
    case CHOIR_ERR_PEER:
    case CHOIR_ERR_AGAIN:
    default:
        return choir_err_text(err);
    }
}
