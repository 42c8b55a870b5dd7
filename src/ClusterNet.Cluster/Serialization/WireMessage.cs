using System.Runtime.Serialization;
using Google.Protobuf;
using Google.Protobuf.Reflection;

namespace ClusterNet.Cluster.Serialization;

/// <summary>
/// Writes protobuf messages, and reads them from whoever may have sent them: within bounds, and with every required field there, so that what is built from a message never has a null or a zero
/// that nobody wrote.
/// </summary>
internal static class WireMessage
{
    /// <summary>The most bytes of a message, tensors of a frame not counted. Read objects are several times larger than their bytes: this bounds both.</summary>
    public const int MaxBytes = 64 << 20;

    /// <summary>The most entries of a list.</summary>
    public const int MaxEntries = 8 << 20;

    /// <summary>The bytes of a message.</summary>
    /// <exception cref="SerializationException">it is too large to be read again</exception>
    public static byte[] Write(IMessage message)
    {
        CheckSize(message.Descriptor, message.CalculateSize());
        return message.ToByteArray();
    }

    /// <summary>The message that <paramref name="bytes"/> hold.</summary>
    /// <exception cref="SerializationException">too large, not complete, or not such a message</exception>
    public static TWire Read<TWire>(byte[] bytes)
        where TWire : IMessage<TWire>, new() => Read<TWire>(bytes, 0, bytes.Length);

    /// <summary>The message that a part of <paramref name="bytes"/> holds.</summary>
    /// <exception cref="SerializationException">too large, not complete, or not such a message</exception>
    public static TWire Read<TWire>(byte[] bytes, int offset, int length)
        where TWire : IMessage<TWire>, new()
    {
        var message = new TWire();
        CheckSize(message.Descriptor, length);
        // not the generated parser: it finds missing fields too, but does not say which
        var input = new CodedInputStream(bytes, offset, length);
        message.MergeFrom(input);
        if (!input.IsAtEnd)
            throw new SerializationException($"{message.Descriptor.Name} ends before its bytes do");
        Check(message);
        return message;
    }

    /// <exception cref="SerializationException">over <see cref="MaxBytes"/></exception>
    public static void CheckSize(MessageDescriptor descriptor, long bytes)
    {
        if (bytes > MaxBytes)
            throw new SerializationException($"{descriptor.Name} has {bytes} bytes, the most is {MaxBytes}");
    }

    private static void Check(IMessage message)
    {
        foreach (var field in message.Descriptor.Fields.InFieldNumberOrder())
        {
            if (field.IsMap)
            {
                foreach (var value in Entries(message, field, ((System.Collections.IDictionary)field.Accessor.GetValue(message)).Values))
                {
                    if (value is IMessage part)
                        Check(part);
                }
            }
            else if (field.IsRepeated)
            {
                var entries = Entries(message, field, (System.Collections.ICollection)field.Accessor.GetValue(message));
                if (field.FieldType != FieldType.Message)
                    continue;
                foreach (var entry in entries)
                    Check((IMessage)entry);
            }
            else if (!field.Accessor.HasValue(message))
            {
                if (field.IsRequired)
                    throw new SerializationException($"{message.Descriptor.Name}.{field.Name} is missing");
            }
            else if (field.FieldType == FieldType.Message)
            {
                Check((IMessage)field.Accessor.GetValue(message));
            }
        }
    }

    private static System.Collections.ICollection Entries(IMessage message, FieldDescriptor field, System.Collections.ICollection entries) => entries.Count <= MaxEntries
        ? entries
        : throw new SerializationException($"{message.Descriptor.Name}.{field.Name} has {entries.Count} entries, the most is {MaxEntries}");
}
