// SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors
// SPDX-License-Identifier: Apache-2.0

import cmek.Cmek;
import cmek.Zone;
import java.util.Arrays;
import java.util.concurrent.Callable;

/** Messages of 1 KiB by the Java package: medians of slices after a warm-up, in microseconds, as a line of JSON. */
final class Bench {
    private static final int SLICE = 200;

    private Bench() {}

    private static double median(int rounds, Callable<byte[]> work) throws Exception {
        double[] times = new double[rounds];
        for (int warm = 0; warm < 20000; warm++) {
            work.call();
        }
        for (int round = 0; round < rounds; round++) {
            long begin = System.nanoTime();
            for (int i = 0; i < SLICE; i++) {
                work.call();
            }
            times[round] = (System.nanoTime() - begin) / 1e3 / SLICE;
        }
        Arrays.sort(times);
        return times[rounds / 2];
    }

    public static void main(String[] words) throws Exception {
        int rounds = Integer.parseInt(words[0]);
        try (Cmek client = Cmek.open()) {
            Zone zone = client.zone("prod/bench");
            byte[] plain = new byte[1024], sealed = zone.seal(plain);
            System.out.printf("{\"seal\": %.3f, \"unseal\": %.3f}%n", median(rounds, () -> zone.seal(plain)), median(rounds, () -> client.unseal(sealed)));
        }
    }
}
