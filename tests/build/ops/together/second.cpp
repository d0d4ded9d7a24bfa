#include "number.h"

int number() { return NUMBER; }
