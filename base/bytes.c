/* Comparison in constant time; everything else about bytes is inline. */
#include "base/bytes.h"

bool bytes_equal_constant_time(struct bytes a, struct bytes b)
{
	volatile uint8_t difference = 0;

	if (a.len != b.len)
		return false;
	for (size_t i = 0; i < a.len; i++)
		difference |= a.data[i] ^ b.data[i];
	return difference == 0;
}
