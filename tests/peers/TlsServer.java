// Copyright (c) 2026 ringmaster.webops contributors
// GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
// SPDX-License-Identifier: GPL-3.0-or-later

import java.net.InetAddress;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.security.KeyFactory;
import java.security.KeyStore;
import java.security.PrivateKey;
import java.security.cert.Certificate;
import java.security.cert.CertificateFactory;
import java.security.spec.PKCS8EncodedKeySpec;
import java.util.Arrays;
import javax.net.ssl.KeyManagerFactory;
import javax.net.ssl.SSLContext;
import javax.net.ssl.SSLServerSocket;
import javax.net.ssl.SSLSocket;

/**
 * A TLS server of Java's own library.
 *
 * Usage: java TlsServer.java PORT PROTOCOL,...|default [KEY_ALGORITHM CHAIN PKCS8_KEY]...
 */
public final class TlsServer {
    public static void main(String[] arguments) throws Exception {
        char[] password = "password".toCharArray();
        KeyStore store = KeyStore.getInstance("PKCS12");
        store.load(null, password);
        CertificateFactory factory = CertificateFactory.getInstance("X.509");
        for (int at = 2; at + 2 < arguments.length; at += 3) {
            byte[] encoded = Files.readAllBytes(Path.of(arguments[at + 2]));
            PrivateKey key = KeyFactory.getInstance(arguments[at]).generatePrivate(new PKCS8EncodedKeySpec(encoded));
            try (var file = Files.newInputStream(Path.of(arguments[at + 1]))) {
                Certificate[] chain = factory.generateCertificates(file).toArray(new Certificate[0]);
                store.setKeyEntry(arguments[at], key, password, chain);
            }
        }
        KeyManagerFactory keys = KeyManagerFactory.getInstance("NewSunX509");
        keys.init(store, password);
        SSLContext context = SSLContext.getInstance("TLS");
        context.init(keys.getKeyManagers(), null, null);
        SSLServerSocket listener = (SSLServerSocket) context.getServerSocketFactory()
            .createServerSocket(Integer.parseInt(arguments[0]), 128, InetAddress.getByName("127.0.0.1"));
        if (!arguments[1].equals("default")) {
            listener.setEnabledProtocols(arguments[1].split(","));
            // Static ECDH is left out: OpenSSL as a client breaks off where the certificate is not for key agreement.
            listener.setEnabledCipherSuites(Arrays.stream(listener.getSupportedCipherSuites())
                .filter(suite -> !suite.contains("_ECDH_EC") && !suite.contains("_ECDH_RSA")).toArray(String[]::new));
        }
        while (true) {
            SSLSocket socket = (SSLSocket) listener.accept();
            Thread thread = new Thread(() -> serve(socket));
            thread.setDaemon(true);
            thread.start();
        }
    }

    private static void serve(SSLSocket socket) {
        try (socket) {
            socket.setSoTimeout(5000);
            socket.getInputStream().read(new byte[4096]);
            byte[] answer = "HTTP/1.0 200 OK\r\nContent-Length: 4\r\n\r\nhere".getBytes(StandardCharsets.US_ASCII);
            socket.getOutputStream().write(answer);
            socket.getOutputStream().flush();
        } catch (java.io.IOException ended) {
            // a client that only wanted to know what is offered
        }
    }
}
