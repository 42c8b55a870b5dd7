using System.IO.Compression;
using System.Runtime.InteropServices;
using System.Text;

namespace ClusterNet.Data.Tests;

/// <summary>Writes NumPy arrays as NumPy does, and as it never would.</summary>
internal static class NumpyFiles
{
    public static byte[] Npy<T>(string type, string shape, T[] elements, int version = 1, bool fortran = false)
        where T : unmanaged => Raw($"{{'descr': '{type}', 'fortran_order': {(fortran ? "True" : "False")}, 'shape': {shape}, }}", MemoryMarshal.AsBytes(elements.AsSpan()), version);

    public static byte[] Raw(string header, ReadOnlySpan<byte> data, int version = 1)
    {
        var lengthBytes = version == 1 ? 2 : 4;
        var padded = header.PadRight(((header.Length + 8 + lengthBytes) / 64 * 64) + 64 - 8 - lengthBytes - 1) + "\n";
        using var stream = new MemoryStream();
        stream.Write([0x93, (byte)'N', (byte)'U', (byte)'M', (byte)'P', (byte)'Y', (byte)version, 0]);
        stream.Write(BitConverter.GetBytes(padded.Length).AsSpan(0, lengthBytes));
        stream.Write(Encoding.UTF8.GetBytes(padded));
        stream.Write(data);
        return stream.ToArray();
    }

    /// <summary>Text of fixed length in UTF-32.</summary>
    public static byte[] Text(int length, params string[] words) =>
        Raw($"{{'descr': '<U{length}', 'fortran_order': False, 'shape': ({words.Length},), }}", [.. words.SelectMany(word => Encoding.UTF32.GetBytes(word.PadRight(length, '\0')))]);

    public static byte[] Npz(params (string Name, byte[] Array)[] arrays)
    {
        using var stream = new MemoryStream();
        using (var zip = new ZipArchive(stream, ZipArchiveMode.Create, leaveOpen: true))
        {
            foreach (var (name, array) in arrays)
            {
                using var entry = zip.CreateEntry(name + ".npy").Open();
                entry.Write(array);
            }
        }
        return stream.ToArray();
    }
}
