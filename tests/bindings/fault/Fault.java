// SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors
// SPDX-License-Identifier: Apache-2.0

import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.invoke.MethodHandle;
import java.lang.reflect.Field;

/** fault.c in Java. */
final class Fault {
    private Fault() {}

    public static void main(String[] arguments) throws Throwable {
        Field size = Class.forName("cmek.Native").getDeclaredField("UNSEALED_SIZE");
        size.setAccessible(true);
        MemorySegment two = Arena.global().allocate(8).asSlice(6); // the JVM rounds up to eight
        ((MethodHandle) size.get(null)).invokeWithArguments(two, 100L);
    }
}
