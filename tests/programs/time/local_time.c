// Calendar time: a given moment in UTC and in a zone given by a rule.
#include "../guest.h"

int main(void)
{
    char text[64];
    time_t moment = 1700000000;
    strftime(text, sizeof text, "%Y-%m-%d %H:%M:%S %j %a", gmtime(&moment));
    puts(text);
    // Rules in TZ need no files.
    setenv("TZ", "ABC-3:30", 1);
    tzset();
    strftime(text, sizeof text, "%Y-%m-%d %H:%M:%S %Z %z", localtime(&moment));
    puts(text);
    struct tm parts = {.tm_year = 100, .tm_mon = 1, .tm_mday = 30, .tm_hour = 12, .tm_isdst = -1};
    SHOW(mktime(&parts));
    SHOW(parts.tm_mon);
    SHOW(timegm(&parts));
    return guest_status();
}
