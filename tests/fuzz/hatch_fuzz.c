/* What a courier that was taken over may send to the vault: any bytes of the right length. */
#include <string.h>

#include "node/hatch.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    struct hatch_request request = {0};
    struct hatch_answer answer = {0};

    memcpy(&request, data, len < sizeof request ? len : sizeof request);
    memcpy(&answer, data, len < sizeof answer ? len : sizeof answer);
    for (int file = 0; file < 2; file++)
        for (int side = HATCH_COURIER; side <= HATCH_SUPERVISOR; side++)
            if (hatch_check(&request, (enum hatch_side)side, file != 0)) {
                struct hatch_answer reply = hatch_answer_to(&request);

                if (!hatch_answer_check(&reply, request.serial))
                    __builtin_trap();
            }
    if (hatch_answer_check(&answer, answer.serial) &&
        (strlen(answer.text) >= sizeof answer.text || answer.code >= MESSAGE_CODES))
        __builtin_trap();
    return 0;
}
