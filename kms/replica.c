/* Related multi-Region keys: one key under an ARN per region ("Multi-Region keys in AWS KMS", AWS
 * KMS Developer Guide). What one encrypted, each decrypts. */
#include "kms/replica.h"

#include "kms/name.h"

bool kms_arn_in_region(const char *arn, struct bytes region, char ret_arn[static KMS_ARN_MAX + 1])
{
	struct arn parts;
	size_t before, len;

	if (!arn_parse(arn, &parts) || !bytes_begin(arn_key_id(&parts), "mrk-") ||
	    !region_valid(region))
		return false;
	before = (size_t)(parts.region.data - (const uint8_t *)arn);
	len = strlen(arn) - parts.region.len + region.len;
	if (len > KMS_ARN_MAX)
		return false;
	memcpy(ret_arn, arn, before);
	memcpy(ret_arn + before, region.data, region.len);
	strcpy(ret_arn + before + region.len, arn + before + parts.region.len);
	return true;
}

/* The word at `index` of a list with spaces; no bytes: there are not so many. */
static struct bytes word_at(const char *list, size_t index)
{
	size_t len;

	list += strspn(list, " ");
	len = strcspn(list, " ");
	for (; index > 0 && len > 0; index--) {
		list += len;
		list += strspn(list, " ");
		len = strcspn(list, " ");
	}
	return bytes(list, len);
}

bool kms_regions_valid(const char *order)
{
	size_t count = 0;

	for (; count <= REPLICA_REGIONS_MAX && word_at(order, count).len > 0; count++)
		if (!region_valid(word_at(order, count)))
			return false;
	return count <= REPLICA_REGIONS_MAX;
}

static bool comes_again(const char *order, size_t index, const char *arn)
{
	char earlier[KMS_ARN_MAX + 1];

	for (size_t i = 0; i < index; i++)
		if (kms_arn_in_region(arn, word_at(order, i), earlier) && strcmp(earlier, arn) == 0)
			return true;
	return false;
}

bool replica_name(const char *order, const char *arn, size_t index,
		  char ret_arn[static KMS_ARN_MAX + 1])
{
	size_t count = 0;

	if (order == NULL || !kms_arn_in_region(arn, word_at(order, 0), ret_arn))
		order = "";
	while (count < REPLICA_REGIONS_MAX && word_at(order, count).len > 0)
		count++;
	if (index < count)
		return kms_arn_in_region(arn, word_at(order, index), ret_arn);
	/* The key's own region is asked last, unless the order has it. */
	if (index > count || comes_again(order, count, arn) || strlen(arn) > KMS_ARN_MAX)
		return false;
	strcpy(ret_arn, arn);
	return true;
}
