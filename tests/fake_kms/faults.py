# SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors
# SPDX-License-Identifier: Apache-2.0
"""Faults to order. Each order says which operation ("*": all; of KMS, STS, "CreateToken", "SSO", "IMDS", "Container"), how often (count)
and what:

    delay_ms        wait before the answer           status, type, message   answer this error
    retry_after_ms  with x-amz-retry-after           reset                   "before": close without reading the answer out;
    cut             close after so many body bytes                           "after": carry the operation out, then close
    unframed        no Content-Length; so many bytes, then a polite end
    slow            send the body a byte at a time,  content_type, body      answer this instead (status with it)
                    so many ms apart                 other_key               answer with another KeyId
    plaintext_len   a plaintext of that length       skew_s                  the server's clock is off by so many seconds
    region          in that region alone, as the request is signed
    gather          wait till so many requests with this order are here at once, at most 10 s; then none waits any more

How many requests were answered at once, at most: FakeAws.most_at_once.
"""

import threading


class Faults:
    def __init__(self):
        self.lock, self.orders, self.skew_s = threading.Lock(), [], 0

    def order(self, op="*", count=1, **what):
        with self.lock:
            if "skew_s" in what:
                self.skew_s = what.pop("skew_s")
            if "gather" in what:
                what["gathered"] = threading.Barrier(what["gather"])
            if what:
                self.orders.append({"op": op, "count": count, **what})

    def clear(self):
        with self.lock:
            self.orders.clear()
            self.skew_s = 0

    def take(self, op, region=None):
        """The first order that is for this operation and region; it is used up by one."""
        with self.lock:
            for order in self.orders:
                if order["op"] in ("*", op) and order.get("region", region) == region:
                    order["count"] -= 1
                    if order["count"] <= 0:
                        self.orders.remove(order)
                    return order
        return {}
