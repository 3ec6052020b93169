// SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors
// SPDX-License-Identifier: Apache-2.0

import cmek.Cmek;
import cmek.Options;
import cmek.SealedOutput;
import cmek.Zone;
import java.io.BufferedReader;
import java.io.IOException;
import java.io.InputStream;
import java.io.InputStreamReader;
import java.io.OutputStream;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;

/** Golden files by the Java package; golden.c has the lines. */
final class Golden {
    private static void seal(Zone zone, String way, Options options, Path from, Path to) throws IOException {
        if (way.equals("file")) {
            zone.sealFile(from, to, options.replacing());
        } else if (way.equals("stream")) {
            byte[] data = Files.readAllBytes(from);
            try (OutputStream out = Files.newOutputStream(to); SealedOutput sealed = zone.outputStream(out, options)) {
                for (int at = 0; at < data.length; at += 40001) {
                    sealed.write(data, at, Math.min(40001, data.length - at));
                }
                sealed.finish();
            }
        } else {
            Files.write(to, zone.seal(Files.readAllBytes(from), way.equals("embedded") ? options.embedding() : options));
        }
    }

    private static void unseal(Cmek client, String way, Options options, Path from, Path to) throws IOException {
        if (way.equals("file")) {
            client.unsealFile(from, to, options.replacing());
        } else if (way.equals("stream")) {
            try (InputStream in = Files.newInputStream(from); InputStream plain = client.inputStream(in, options)) {
                Files.write(to, plain.readAllBytes());
            }
        } else {
            Files.write(to, client.unseal(Files.readAllBytes(from), options));
        }
    }

    public static void main(String[] arguments) throws IOException {
        boolean seals = arguments[0].equals("seal");
        BufferedReader in = new BufferedReader(new InputStreamReader(System.in, StandardCharsets.UTF_8));
        try (Cmek client = Cmek.open()) {
            for (String line; (line = in.readLine()) != null;) {
                String[] words = line.split("\\|", -1);
                Options options = words[1].isEmpty() ? Options.NONE : Options.name(words[1]);
                Path from = Path.of(words[2]), to = Path.of(words[3]);
                if (seals) {
                    seal(client.zone("prod/one"), words[0], options, from, to);
                } else {
                    unseal(client, words[0], options, from, to);
                }
            }
        }
    }

    private Golden() {}
}
