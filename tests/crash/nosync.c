/* nosync - preloaded under the driver, makes one of the sync calls do nothing: the mutants
 * "missing fsync". NOSYNC is the function's name, given when compiled. */
int NOSYNC(int fd);

__attribute__((visibility("default"))) int NOSYNC(int fd)
{
    (void)fd;
    return 0;
}
