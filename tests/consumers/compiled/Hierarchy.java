// SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors
// SPDX-License-Identifier: Apache-2.0

import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.security.Key;
import java.security.KeyStore;
import java.security.Provider;
import java.security.SecureRandom;
import java.security.Security;
import java.util.Arrays;
import java.util.concurrent.Callable;
import javax.crypto.Cipher;
import javax.crypto.KeyGenerator;
import javax.crypto.SecretKey;
import javax.crypto.spec.GCMParameterSpec;
import javax.crypto.spec.IvParameterSpec;

/** The hierarchy from Java by SunPKCS11: Hierarchy MODULE CONFIGURATION. JDK 17 has no key wrap. Prints TAP. */
public class Hierarchy {
    static final byte[] TEXT = "what the file says".getBytes(StandardCharsets.UTF_8);
    static int count = 1;
    static int failed;
    static Provider p;

    interface Check {
        void run() throws Exception;
    }

    static void test(String sentence, Check check) {
        try {
            check.run();
            System.out.println("ok " + count++ + " - " + sentence);
        } catch (Throwable error) { // whatever it is, it is counted
            failed++;
            System.out.println("not ok " + count++ + " - " + sentence + "\n# " + error + ", cause: " + error.getCause());
        }
    }

    static void refused(String word, Callable<?> call) throws Exception {
        try {
            call.call();
        } catch (Exception error) {
            if ((error + " " + error.getCause()).contains(word)) return;
            throw error;
        }
        throw new AssertionError("this was not refused");
    }

    static void same(byte[] one, byte[] other) {
        if (!Arrays.equals(one, other)) throw new AssertionError("the texts differ");
    }

    /** By conf/sunpkcs11.cfg, with the module's path. */
    static Provider configured(String module, String file) throws Exception {
        Path cfg = Files.createTempFile("cmek", ".cfg");
        Files.writeString(cfg, Files.readString(Path.of(file)).replaceAll("(?m)^library = .*", "library = " + module));
        Provider provider = Security.getProvider("SunPKCS11").configure(cfg.toString());
        Files.delete(cfg);
        return provider;
    }

    static SecretKey newKey() throws Exception {
        KeyGenerator kg = KeyGenerator.getInstance("AES", p);
        kg.init(256);
        SecretKey dek = kg.generateKey();
        return dek;
    }

    static byte[] wrapped(String transformation, Key ezk, Key dek) throws Exception {
        Cipher c = Cipher.getInstance(transformation, p);
        c.init(Cipher.WRAP_MODE, ezk);
        byte[] w = c.wrap(dek);
        return w;
    }

    static Key unwrapped(String transformation, Key ezk, byte[] w) throws Exception {
        Cipher c = Cipher.getInstance(transformation, p);
        c.init(Cipher.UNWRAP_MODE, ezk);
        Key d = c.unwrap(w, "AES", Cipher.SECRET_KEY);
        return d;
    }

    static byte[] gcm(int mode, Key d, byte[] iv, byte[] all) throws Exception {
        Cipher c = Cipher.getInstance("AES/GCM/NoPadding", p);
        c.init(mode, d, new GCMParameterSpec(128, iv));
        return c.doFinal(all);
    }

    static byte[] cipher(String transformation, int mode, Key d, byte[] iv, byte[] all) throws Exception {
        Cipher c = Cipher.getInstance(transformation, p);
        if (iv == null) c.init(mode, d);
        else c.init(mode, d, new IvParameterSpec(iv));
        return c.doFinal(all);
    }

    static byte[] fresh(int length) {
        byte[] bytes = new byte[length];
        new SecureRandom().nextBytes(bytes);
        return bytes;
    }

    static void encrypts(String whose, Key one, Key other) {
        byte[] iv = fresh(12);
        test("AES-GCM by " + whose + " encrypts and decrypts", () ->
            same(TEXT, gcm(Cipher.DECRYPT_MODE, other, iv, gcm(Cipher.ENCRYPT_MODE, one, iv, TEXT))));
        test("a text that was changed is refused, by " + whose, () -> {
            byte[] bad = gcm(Cipher.ENCRYPT_MODE, one, iv, TEXT);
            bad[3] ^= 1;
            refused("", () -> gcm(Cipher.DECRYPT_MODE, other, iv, bad));
        });
        for (String mode : new String[] {"AES/CBC/PKCS5Padding", "AES/CTR/NoPadding"})
            test(mode + " by " + whose + " encrypts and decrypts", () -> {
                byte[] start = fresh(16);
                same(TEXT, cipher(mode, Cipher.DECRYPT_MODE, other, start, cipher(mode, Cipher.ENCRYPT_MODE, one, start, TEXT)));
            });
    }

    static void wraps(String transformation, Key ezk, Key users) throws Exception {
        SecretKey dek = newKey();
        byte[][] w = new byte[1][];
        Key[] d = new Key[1];
        test("a data key is wrapped by " + transformation, () -> w[0] = wrapped(transformation, ezk, dek));
        test("it is unwrapped by " + transformation, () -> d[0] = unwrapped(transformation, ezk, w[0]));
        encrypts("a key of " + transformation, dek, d[0]);
        test("the other zone does not unwrap it by " + transformation, () ->
            refused("CKR_WRAPPED_KEY_INVALID", () -> unwrapped(transformation, users, w[0])));
        test("the other zone does not wrap it by " + transformation, () ->
            refused("CKR_KEY_NOT_WRAPPABLE", () -> wrapped(transformation, users, dek)));
    }

    static void inParts() throws Exception {
        SecretKey dek = newKey();
        byte[] iv = fresh(12);
        byte[] all = fresh(100_000);
        Cipher c = Cipher.getInstance("AES/GCM/NoPadding", p);
        c.init(Cipher.ENCRYPT_MODE, dek, new GCMParameterSpec(128, iv));
        c.updateAAD(TEXT);
        java.io.ByteArrayOutputStream out = new java.io.ByteArrayOutputStream();
        for (int at = 0; at < all.length; at += 5000) {
            byte[] part = c.update(all, at, 5000);
            if (part != null) out.write(part);
        }
        out.write(c.doFinal());
        c = Cipher.getInstance("AES/GCM/NoPadding", p);
        c.init(Cipher.DECRYPT_MODE, dek, new GCMParameterSpec(128, iv));
        c.updateAAD(TEXT);
        same(all, c.doFinal(out.toByteArray()));
    }

    public static void main(String[] args) throws Exception {
        boolean hasWrap = Runtime.version().feature() >= 18;
        String login = System.getenv("CMEK_TEST_PIN"); // where the token wants a login
        char[] pin = login == null ? null : login.toCharArray();
        if (pin == null) System.out.println("# consumer: Java SunPKCS11 | " + Runtime.version().feature() + "." + Runtime.version().interim() + "."
            + Runtime.version().update() + " | " + (hasWrap ? "whole hierarchy" : "AES only"));
        p = configured(args[0], args[1]);
        KeyStore ks = KeyStore.getInstance("PKCS11", p);
        ks.load(null, pin);
        Key ezk = ks.getKey("prod/orders", null);
        Key users = ks.getKey("prod/users", null);
        Key bao = ks.getKey("prod/bao", null);
        test("the key store has the zones by their labels", () -> {
            if (ezk == null || users == null || bao == null) throw new AssertionError("not all are there");
        });
        encrypts("a zone that may encrypt", bao, bao);
        test("a key store entry is kept in the token", () -> {
            ks.setEntry("kept", new KeyStore.SecretKeyEntry(newKey()), null);
            byte[] iv = fresh(12);
            Key kept = ks.getKey("kept", null);
            same(TEXT, gcm(Cipher.DECRYPT_MODE, kept, iv, gcm(Cipher.ENCRYPT_MODE, kept, iv, TEXT)));
            ks.deleteEntry("kept");
        });
        test("AES-GCM in parts, ended by an empty doFinal, encrypts all of it", Hierarchy::inParts);
        if (hasWrap) {
            wraps("AESWrap", ezk, users);
            wraps("AES/KWP/NoPadding", ezk, users);
        } else {
            System.out.println("ok " + count++ + " - a data key is wrapped # SKIP SunPKCS11 has no key wrap before JDK 18");
        }
        System.out.println("1.." + (count - 1));
        if (failed > 0) System.exit(1);
    }
}
